/** Random reads through a hundred overlays, beside one overlay that holds the same. */
import path from 'node:path'
import type { BlockDevice } from '../../../src-main/storage/block-device.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { KiB } from '../../../src-shared/base/units.ts'
import { seeded } from '../../support/seeded.ts'
import type { Figure } from '../figure.ts'
import { atDepth, elapsed, settled } from '../support/bench-storage.ts'
import type { StorageBench } from '../support/storage-bench.ts'

const LAYERS = 100
/** Clusters that each layer has. */
const CLUSTERS = 32
const CLUSTER = 64 * KiB
const RUNS = 5
const DEPTH = 16
const SIZES = [
  { length: 4 * KiB, count: 15_000 },
  { length: 64 * KiB, count: 3000 },
]

export async function chainFigures(bench: StorageBench): Promise<Figure[]> {
  const { folder } = bench
  const random = seeded(1)
  const overlay = async (name: string, below: string): Promise<string> => {
    const file = path.join(folder, `${name}.qcow2`)
    const format = below === bench.random ? 'raw' : 'qcow2'
    await bench.storage.create({ path: file, format: 'qcow2', size: null, backing: { path: below, format, folders: [folder] } })
    return file
  }
  const single = await overlay('single', bench.random)
  const one = await opened(single, folder, false)
  let top = bench.random
  try {
    for (let layer = 0; layer < LAYERS; layer++) {
      top = await overlay(`layer${layer}`, top)
      const disk = await opened(top, folder, false)
      try {
        for (let n = 0; n < CLUSTERS; n++) {
          const bytes = new Uint8Array(CLUSTER).fill(layer + 1)
          const offset = random(Math.floor(bench.size / CLUSTER)) * CLUSTER
          for (const to of [disk, one]) await to.write(offset, bytes)
        }
      } finally {
        await disk.close()
      }
    }
  } finally {
    await one.close()
  }
  await settled(single)
  const disks = [await opened(top, folder, true), await opened(single, folder, true)]
  try {
    const figures: Figure[] = []
    for (const { length, count } of SIZES) {
      const values: [number[], number[]] = [[], []]
      // The first round warms up and does not count.
      for (let run = 0; run <= RUNS; run++)
        for (const [at, disk] of disks.entries()) {
          const ms = await elapsed(() => reads(disk, length, count, run))
          if (run > 0) values[at]!.push((ms * 1000) / count)
        }
      const name = `Random read of ${length / KiB} KiB through ${LAYERS} overlays, ${DEPTH} at once`
      figures.push({
        name,
        unit: 'µs',
        values: values[0],
        anchor: { name: 'one overlay with the same', values: values[1] },
        target: '≤ 1.3×',
      })
    }
    return figures
  } finally {
    await Promise.all(disks.map((disk) => disk.close()))
  }
}

const opened = (file: string, folder: string, readOnly: boolean): Promise<BlockDevice> =>
  openImage({ path: file, format: 'qcow2', readOnly, folders: [folder] })

async function reads(disk: BlockDevice, length: number, count: number, run: number): Promise<void> {
  const random = seeded(run + 1)
  const places = Math.floor(disk.info.size / length)
  const buffers = Array.from({ length: DEPTH }, () => new Uint8Array(length))
  await atDepth(DEPTH, count, (slot) => disk.read(random(places) * length, buffers[slot]!))
}
