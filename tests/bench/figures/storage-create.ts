/** New images and new overlays by the storage thread's job, on the disk when it is done, beside qemu-img, whose process has to start. */
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { GiB } from '../../../src-shared/base/units.ts'
import type { Figure } from '../figure.ts'
import { elapsed, qemuImg } from '../support/bench-storage.ts'
import type { StorageBench } from '../support/storage-bench.ts'

const RUNS = 15
const SIZE = 10 * GiB

export async function createFigures({ folder, storage }: StorageBench): Promise<Figure[]> {
  const [base, made] = [path.join(folder, 'base.qcow2'), path.join(folder, 'made.qcow2')]
  await qemuImg('create', '-q', '-f', 'qcow2', base, String(SIZE))
  const backing = { path: base, format: 'qcow2' as const, folders: [] }
  const kinds = [
    {
      name: 'New qcow2 of 10 GiB',
      ours: () => storage.create({ path: made, format: 'qcow2', size: SIZE, backing: null }),
      theirs: () => qemuImg('create', '-q', '-f', 'qcow2', made, String(SIZE)),
    },
    {
      name: 'New overlay on a qcow2 of 10 GiB',
      ours: () => storage.create({ path: made, format: 'qcow2', size: null, backing }),
      theirs: () => qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', made),
    },
  ]
  const figures: Figure[] = []
  for (const { name, ours, theirs } of kinds) {
    const values: [number[], number[]] = [[], []]
    // The first round warms up and does not count.
    for (let run = 0; run <= RUNS; run++)
      for (const [at, make] of [ours, theirs].entries()) {
        const ms = await elapsed(make)
        await rm(made)
        if (run > 0) values[at]!.push(ms)
      }
    figures.push({ name, unit: 'ms', values: values[0], anchor: { name: 'qemu-img create', values: values[1] }, target: '≤ 10 ms' })
  }
  await rm(base)
  return figures
}
