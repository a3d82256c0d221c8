/** Qcow2 images with wrong bytes: they open or are refused, are repaired or not, and nothing else. Each takes a number of rounds. */
import { expect } from 'vitest'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { checkQcow2 } from '../../src-main/storage/formats/qcow2/check/check.ts'
import { surviveMutations } from './hostile-image.ts'
import { memoryFile } from './memory-file.ts'
import { addSnapshot, altered, BACKING, newQcow2, openOver } from './qcow2-images.ts'
import { noise, seeded } from './seeded.ts'

/** Bytes: longest file that a repair may make in memory. */
const MOST_BYTES = 128 * 1024 * 1024

/** An image with everything in it, small. */
async function full(clusterSize: number, version: 2 | 3) {
  const file = await newQcow2({ size: 150 * clusterSize, clusterSize, version, backing: BACKING })
  const image = await openOver(file)
  for (let at = 0; at < 120; at += 5) await image.write(at * clusterSize, noise(seeded(at), clusterSize + 10))
  for (let at = 3; at < 120; at += 10) await image.packed.write(at * clusterSize, new Uint8Array(clusterSize).fill(at))
  await image.writeZeroes(20 * clusterSize, 9 * clusterSize)
  await image.close()
  await addSnapshot(file, 'a')
  return file.bytes().slice()
}

export async function fuzzOpen(rounds: number, clusterSize: number, version: 2 | 3): Promise<void> {
  const image = await full(clusterSize, version)
  const tables = [
    [0, 160],
    [clusterSize, Math.min(image.length, 12 * clusterSize)],
    [0, image.length],
  ] as const
  await surviveMutations(image, tables, rounds, (file) => openOver(file))
}

/** A repair leaves fewer faults than it found. */
export async function fuzzRepair(rounds: number, seed: number): Promise<void> {
  const image = await full(512, 3)
  const fields = new DataView(image.buffer)
  const places = (table: number, entries: number): number[] =>
    Array.from({ length: entries }, (_, i) => Number(fields.getBigUint64(table + i * 8) & 0x00fffffffffffe00n)).filter((place) => place > 0)
  // Where the image's own counts and entries are; with another header or L1 table everything means something else, and no repair can be right.
  const refcountTable = Number(fields.getBigUint64(48))
  const tables = [refcountTable, ...places(refcountTable, 64), ...places(Number(fields.getBigUint64(40)), fields.getUint32(36))]
  const random = seeded(seed)
  for (let round = 0; round < rounds; round++) {
    const bytes = image.slice()
    const anything = random(2) === 0
    for (let change = random(5); change >= 0; change--) {
      const at = anything ? random(random(2) ? 160 : bytes.length) : tables[random(tables.length)]! + random(512)
      bytes[at] = random(256)
    }
    const inMemory = memoryFile(bytes)
    const file = altered(inMemory, {
      async write(offset, data) {
        if (offset + data.length > MOST_BYTES) throw new AppError('no-space', 'The disk is full.')
        await inMemory.write(offset, data)
      },
    })
    try {
      const first = await checkQcow2(file, { repair: true })
      const second = await checkQcow2(file, { repair: false })
      if (!anything) expect(second.corruptions).toBeLessThanOrEqual(first.corruptions - first.repairedCorruptions)
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'internal') throw error
    }
  }
}
