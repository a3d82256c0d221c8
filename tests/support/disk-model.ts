/** What every format must do, tried by random requests against plain bytes. */
import { expect } from 'vitest'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import { noise, seeded } from './seeded.ts'
import { readBytes } from './read-bytes.ts'

export interface ModelOptions {
  seed: number
  steps: number
  /** Bytes: the longest request. */
  longest: number
  /** What the image itself lacks is the backing's. */
  hasBacking?: boolean
  /** Called between requests with a device to close; gives the same image opened again. */
  reopen(device: BlockDevice): Promise<BlockDevice>
}

/**
 * Writes, zeroes, discards, reads and reopens at odd offsets and lengths, several at once; every byte read must be the model's.
 * @param model what the device has at first; changed along
 * @returns the device as it was opened last
 */
export async function actLikeModel(first: BlockDevice, model: Uint8Array, options: ModelOptions): Promise<BlockDevice> {
  const random = seeded(options.seed)
  let device = first
  const size = device.info.size
  const range = (): { offset: number; length: number } => {
    const length = 1 + random(options.longest)
    // Often near what was touched before: at the beginning and the end.
    const offset = random(4) === 0 ? Math.max(0, size - length) : random(Math.max(1, size - length))
    return { offset: random(3) === 0 ? Math.floor(offset / 512) * 512 : offset, length: Math.min(length, size - offset) }
  }
  for (let step = 0; step < options.steps; step++) {
    const { offset, length } = range()
    switch (random(8)) {
      case 0:
      case 1: {
        const bytes = noise(random, length)
        await device.write(offset, bytes)
        model.set(bytes, offset)
        break
      }
      case 2: {
        // Neighbours at once: they may need the same new block.
        const parts = Array.from({ length: 4 }, (_, part) => ({
          at: offset + Math.floor((length * part) / 4),
          end: offset + Math.floor((length * (part + 1)) / 4),
        }))
        await Promise.all([
          ...parts.map(async ({ at, end }) => {
            const bytes = noise(random, end - at)
            model.set(bytes, at)
            await device.write(at, bytes)
          }),
          device.flush(),
        ])
        break
      }
      case 3:
        await device.writeZeroes(offset, length)
        model.fill(0, offset, offset + length)
        break
      case 4: {
        const before = model.slice(offset, offset + length)
        await device.discard(offset, length)
        const after = await readBytes(device, offset, length)
        const wrong = after.findIndex((byte, at) => byte !== 0 && byte !== before[at])
        expect(wrong, 'byte that is neither zero nor as before a discard').toBe(-1)
        model.set(after, offset)
        break
      }
      case 5:
        await device.flush()
        break
      case 6:
        if (random(4) === 0) device = await options.reopen(device)
        break
      default:
        expectSame(await readBytes(device, offset, length), model.subarray(offset, offset + length), offset)
    }
  }
  device = await options.reopen(device)
  expectSame(await readBytes(device, 0, size), model, 0)
  await expectExtents(device, model, options.hasBacking)
  return device
}

/** Extents cover the disk, end, and never call bytes zero (or unallocated, without backing) that are not. */
export async function expectExtents(device: BlockDevice, model: Uint8Array, hasBacking = false): Promise<void> {
  for (let at = 0; at < model.length;) {
    const { length, state } = await device.extent(at, model.length - at)
    expect(length).toBeGreaterThan(0)
    expect(at + length).toBeLessThanOrEqual(model.length)
    if (state === 'zero' || (state === 'unallocated' && !hasBacking))
      expectSame(new Uint8Array(length), model.subarray(at, at + length), at)
    at += length
  }
}

/** Quicker than toEqual, and says where. */
export function expectSame(got: Uint8Array, wanted: Uint8Array, offset: number): void {
  expect(got.length).toBe(wanted.length)
  if (Buffer.compare(got, wanted) === 0) return
  const at = got.findIndex((byte, index) => byte !== wanted[index])
  expect(got[at], `byte ${offset + at}`).toBe(wanted[at])
}
