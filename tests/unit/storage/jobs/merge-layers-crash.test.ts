/**
 * Power that fails while two layers are merged. The two files keep one journal, with what is done to their names; what a crash after any entry can leave is
 * put into a folder, looked at, and merged again.
 */
import { existsSync } from 'node:fs'
import { access, copyFile, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { openLocked } from '../../../../src-main/storage/file/open-locked.ts'
import { mergeLayers, type MergeFiles } from '../../../../src-main/storage/jobs/merge-layers.ts'
import { markMerged } from '../../../../src-main/storage/jobs/merge-mark.ts'
import { openLayer } from '../../../../src-main/storage/open-image.ts'
import { expectChain, makeChain, openNewest, type DiskChain, type LayerOptions } from '../../../support/disk-chain.ts'
import { crashes, journalled, type Entry } from '../../../support/power-loss.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const KiB = 1024

interface Step {
  /** null: what is done to names. */
  path: string | null
  entry: Entry | 'removed' | 'renamed'
  /** The mark lies beside the lower layer. */
  marked: boolean
}

/** Merges the upper two of three layers. Of these only the journal is changed. */
async function journalOf({ layers }: DiskChain): Promise<Step[]> {
  const [lower, upper] = [layers[1]!, layers[2]!]
  const steps: Step[] = []
  const mark = join(lower.path, '..', `.${basename(lower.path)}.coppice-merged`)
  const note = (path: string | null, entry: Step['entry']): number => steps.push({ path, entry, marked: existsSync(mark) })
  const files: MergeFiles = {
    async open(path, readOnly) {
      const { file, identity } = await openLocked(path, readOnly)
      const entries: Entry[] = []
      entries.push = (entry) => note(path, entry!)
      const inMemory = journalled(await readFile(path), entries)
      const taped = {
        ...inMemory,
        path,
        get size() {
          return inMemory.size
        },
        close: () => file.close(),
      }
      return { file: taped, identity }
    },
    takeName: async () => void note(null, 'renamed'),
    remove: async () => void note(null, 'removed'),
  }
  await mergeLayers({ lower, upper, folders: [] }, quiet, files)
  return steps
}

/** What the files have after some steps and a crash. */
async function contentAfter(path: string, steps: readonly Step[], random: (below: number) => number): Promise<Uint8Array> {
  const before = await readFile(path)
  const journal = steps.filter((step) => step.path === path).map(({ entry }) => entry as Entry)
  let content: Uint8Array = before
  for await (const { file } of crashes(before, journal, before, random)) content = file.bytes()
  return content
}

/** The chain in a folder of its own, after a crash. */
async function crashed(
  chain: DiskChain,
  steps: readonly Step[],
  random: (below: number) => number,
): Promise<{ folder: string; lower: string; upper: string; names: Step['entry'] | null }> {
  const folder = await tempFolder()
  const [lower, upper] = [join(folder, '1.img'), join(folder, '2.img')]
  await copyFile(chain.layers[0]!.path, join(folder, '0.img'))
  await writeFile(lower, await contentAfter(chain.layers[1]!.path, steps, random))
  await writeFile(upper, await contentAfter(chain.layers[2]!.path, steps, random))
  if (steps.at(-1)?.marked) await markMerged(lower, upper)
  const names = steps.findLast(({ path }) => path === null)?.entry ?? null
  // A change of names is durable when the job goes on.
  if (names === 'removed') await unlink(lower)
  if (names === 'renamed') await rename(lower, upper)
  return { folder, lower, upper, names }
}

const layouts: [string, { lower: LayerOptions; upper: LayerOptions; below: number; above: number; end: string }][] = [
  [
    'pulled up',
    {
      ...{ lower: { size: 60 * KiB, clusterSize: 512 }, upper: { size: 64 * KiB, clusterSize: KiB } },
      ...{ below: 3, above: 6, end: 'removed' },
    },
  ],
  [
    'pulled up, version 2',
    {
      ...{ lower: { size: 50 * KiB, clusterSize: KiB, version: 2 }, upper: { size: 64 * KiB, clusterSize: 512, version: 2 } },
      ...{ below: 2, above: 6, end: 'removed' },
    },
  ],
  [
    'pushed down',
    {
      ...{ lower: { size: 64 * KiB, clusterSize: 512 }, upper: { size: 64 * KiB, clusterSize: KiB } },
      ...{ below: 8, above: 3, end: 'renamed' },
    },
  ],
  [
    'pushed down into a smaller one',
    {
      ...{ lower: { size: 50 * KiB, clusterSize: KiB }, upper: { size: 64 * KiB, clusterSize: 512 } },
      ...{ below: 8, above: 3, end: 'renamed' },
    },
  ],
  [
    'pushed down into a larger one',
    {
      ...{ lower: { size: 64 * KiB, clusterSize: 512 }, upper: { size: 40 * KiB, clusterSize: KiB } },
      ...{ below: 8, above: 2, end: 'renamed' },
    },
  ],
]

test.each(layouts)('the disk is the same after a crash, and merging again ends it: %s', { timeout: 120_000 }, async (_name, layout) => {
  const random = seeded(7)
  const chain = await makeChain(await tempFolder(), [{ raw: 64 * KiB }, layout.lower, layout.upper], 0, random)
  await writeFile(chain.layers[0]!.path, noise(random, 64 * KiB))
  for (const [index, count] of [
    [1, layout.below],
    [2, layout.above],
  ] as const) {
    const layer = await openLayer({ ...chain.layers[index]!, readOnly: false })
    const { clusterSize, info } = layer
    for (let i = 0; i < count; i++) await layer.write((i * 5 + index) * KiB, noise(random, clusterSize! * 2))
    await layer.writeZeroes(info.size - 8 * KiB, 4 * KiB)
    await layer.close()
  }
  const newest = await openNewest(chain)
  chain.model = await readBytes(newest, 0, newest.info.size)
  await newest.close()
  const steps = await journalOf(chain)
  expect(steps.findLast(({ path }) => path === null)!.entry).toBe(layout.end)

  // After each step several, torn in different ways.
  for (let crash = 0; crash < 3 * (steps.length + 1); crash++) {
    const count = Math.floor(crash / 3)
    const { folder, lower, upper, names } = await crashed(chain, steps.slice(0, count), random)
    const layers = [
      { path: join(folder, '0.img'), format: 'raw' as const },
      { path: upper, format: 'qcow2' as const },
    ]
    await expectChain({ layers, model: chain.model }, 'leaks')
    if (names === null) await expectChain({ layers: [{ path: lower, format: 'qcow2' }, layers[1]!], model: chain.model }, 'leaks')
    await mergeLayers({ lower: { path: lower, format: 'qcow2' }, upper: layers[1]!, folders: [] }, quiet)
    await expect(access(lower)).rejects.toMatchObject({ code: 'ENOENT' })
    await expectChain({ layers, model: chain.model }, 'leaks')
    const merged = await openLayer({ ...layers[1]!, readOnly: true })
    expect(merged.backing).toEqual({ path: '0.img', format: 'raw' })
    await merged.close()
  }
})
