/** Opening a library of 1,000 machines, beside reading and parsing the same files with nothing around it. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Library, serialiseConfig } from '../../../src-main/host/library/library.ts'
import { parseMachineConfig } from '../../../src-shared/model/machine.ts'
import type { Figure } from '../figure.ts'

const BUNDLES = 1000
const RUNS = 5

export async function libraryFigure(): Promise<Figure> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-bench-'))
  try {
    for (let n = 0; n < BUNDLES; n++) await makeBundle(join(folder, `machine ${n}.coppice`), n)
    const values: number[] = []
    const anchor: number[] = []
    for (let run = 0; run < RUNS; run++) {
      values.push(await timed(() => openLibrary(folder)))
      anchor.push(await timed(() => readAll(folder)))
    }
    return {
      name: `library of ${BUNDLES} machines, from nothing to all listed`,
      unit: 'ms',
      values,
      anchor: { name: 'readFile + JSON.parse one by one', values: anchor },
      target: '≤ 1000 ms',
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

async function openLibrary(folder: string): Promise<void> {
  const silent = { info: () => {}, warn: () => {}, error: () => {}, dispose: () => {} }
  const library = new Library(folder, silent)
  await library.ready
  if ([...library.bundles()].filter(({ problem }) => !problem).length !== BUNDLES) throw new Error('The library has not all machines.')
  await library.close()
}

async function readAll(folder: string): Promise<void> {
  for (const name of await readdir(folder)) JSON.parse(await readFile(join(folder, name, 'machine.json'), 'utf8'))
}

async function makeBundle(folder: string, n: number): Promise<void> {
  await mkdir(join(folder, 'disks'), { recursive: true })
  const config = parseMachineConfig({
    ...{ schema: 1, id: crypto.randomUUID(), created: '2026-11-21T00:00:00Z', name: `machine ${n}` },
    boot: { kind: 'kernel', kernel: 'boot/kernel', initrd: 'boot/initrd', cmdline: 'console=ttyS0 quiet' },
    drives: [{ id: 'disk0', kind: 'disk', path: 'disks/disk0.img' }],
    nics: [{ id: 'nic0', mac: `52:54:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}` }],
    tags: ['bench'],
    notes: 'A machine of the benchmark.\n'.repeat(10),
  })
  await writeFile(join(folder, 'machine.json'), serialiseConfig(config))
}
