/** Random requests to a qcow2 image through openImage, beside qemu-nbd as it is seen from Node: a copy of the same image, the same requests, in turns. */
import { copyFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { KiB } from '../../../src-shared/base/units.ts'
import type { Figure } from '../figure.ts'
import { atDepth, elapsed, qemuImg, settled } from '../support/bench-storage.ts'
import { serveByQemu } from '../support/qemu-nbd.ts'
import type { StorageBench } from '../support/storage-bench.ts'
import { seeded } from '../../support/seeded.ts'

const RUNS = 5
/** Of those with new images, whose files take the system seconds to remove. */
const NEW_RUNS = 3
const DEPTH = 16
const SIZES = [
  { length: 4 * KiB, count: 15_000, intoNew: 2000 },
  { length: 64 * KiB, count: 3000, intoNew: 1500 },
]

interface Disk {
  read(offset: number, into: Uint8Array): Promise<void>
  write(offset: number, bytes: Uint8Array): Promise<void>
  flush(): Promise<void>
}
interface Side {
  disk: Disk
  close(): Promise<void>
}

export async function requestFigures(bench: StorageBench): Promise<Figure[]> {
  const { folder } = bench
  const [ours, theirs] = [path.join(folder, 'ours.qcow2'), path.join(folder, 'theirs.qcow2')]
  const figures: Figure[] = []
  // Both are copies: how a file came to be decides in what pieces the system keeps it in memory, and so what a small write into it costs.
  const made = path.join(folder, 'made.qcow2')
  await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', bench.random, made)
  for (const copy of [ours, theirs]) {
    await copyFile(made, copy)
    await settled(copy)
  }
  await rm(made)
  const sides = await openBoth(bench, ours, theirs)
  try {
    await expectSame(sides.map(({ disk }) => disk))
    for (const { length, count } of SIZES)
      figures.push(
        await measure(bench, sides, `Random reads of ${length / KiB} KiB`, length, count, (disk, at, bytes) => disk.read(at, bytes)),
      )
    for (const { length, count } of SIZES)
      figures.push(
        await measure(bench, sides, `Random writes of ${length / KiB} KiB`, length, count, (disk, at, bytes) => disk.write(at, bytes)),
      )
  } finally {
    await Promise.all(sides.map((side) => side.close()))
    await Promise.all([rm(ours), rm(theirs)])
  }
  for (const { length, intoNew } of SIZES) figures.push(await measureNew(bench, ours, theirs, length, intoNew))
  return figures
}

async function openBoth({ folder }: StorageBench, ours: string, theirs: string): Promise<[Side, Side]> {
  const image = await openImage({ path: ours, format: 'qcow2', readOnly: false })
  const { client, close } = await serveByQemu(theirs, path.join(folder, 'nbd')).catch(async (error: unknown) => {
    await image.close()
    throw error
  })
  return [
    { disk: image, close: () => image.close() },
    { disk: client, close },
  ]
}

/** Otherwise something else would be measured. */
async function expectSame(disks: readonly Disk[]): Promise<void> {
  const parts = disks.map(() => new Uint8Array(64 * KiB))
  await Promise.all(disks.map((disk, at) => disk.read(3 * 64 * KiB + 512, parts[at]!)))
  if (Buffer.compare(parts[0]!, parts[1]!) !== 0) throw new Error('The two images do not show the same.')
}

type Request = (disk: Disk, offset: number, bytes: Uint8Array) => Promise<void>

/** Without a flush in the figure; one follows. */
async function measure(
  bench: StorageBench,
  sides: readonly Side[],
  name: string,
  length: number,
  count: number,
  request: Request,
): Promise<Figure> {
  const values: [number[], number[]] = [[], []]
  // The first round warms up and does not count.
  for (let run = 0; run <= RUNS; run++)
    for (const [at, { disk }] of sides.entries()) {
      const ms = await elapsed(() => requests(bench, disk, length, count, run, request))
      await disk.flush()
      if (run > 0) values[at]!.push(count / (ms / 1000))
    }
  return {
    name: `${name}, qcow2, ${DEPTH} at once`,
    unit: '/s',
    values: values[0],
    anchor: { name: 'qemu-nbd', values: values[1] },
    target: '≥ 1.0×',
  }
}

/** Each image is new; the flush at the end is part of the figure. */
async function measureNew(bench: StorageBench, ours: string, theirs: string, length: number, count: number): Promise<Figure> {
  const values: [number[], number[]] = [[], []]
  for (let run = 0; run <= NEW_RUNS; run++) {
    for (const file of [ours, theirs]) await qemuImg('create', '-q', '-f', 'qcow2', file, String(bench.size))
    const sides = await openBoth(bench, ours, theirs)
    try {
      for (const [at, { disk }] of sides.entries()) {
        const ms = await elapsed(async () => {
          await requests(bench, disk, length, count, run, (to, offset, bytes) => to.write(offset, bytes))
          await disk.flush()
        })
        if (run > 0) values[at]!.push(count / (ms / 1000))
      }
    } finally {
      await Promise.all(sides.map((side) => side.close()))
      await Promise.all([rm(ours), rm(theirs)])
    }
  }
  const name = `Random writes of ${length / KiB} KiB into an empty qcow2, ${DEPTH} at once, with the flush after them`
  return { name, unit: '/s', values: values[0], anchor: { name: 'qemu-nbd', values: values[1] }, target: '≥ 1.0×' }
}

async function requests({ size }: StorageBench, disk: Disk, length: number, count: number, run: number, request: Request): Promise<void> {
  const random = seeded(run + 1)
  const places = Math.floor(size / length)
  const buffers = Array.from({ length: DEPTH }, (_, slot) => new Uint8Array(length).fill(slot + 1))
  await atDepth(DEPTH, count, (slot) => request(disk, random(places) * length, buffers[slot]!))
}
