import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import { checkQcow2 } from '../../../../../src-main/storage/formats/qcow2/check/check.ts'
import { zstdFrameLength } from '../../../../../src-main/storage/formats/qcow2/zstd-frame.ts'
import { surviveMutations } from '../../../../support/hostile-image.ts'
import { memoryFile } from '../../../../support/memory-file.ts'
import { addSnapshot, BACKING, newQcow2, openOver, patchHeader } from '../../../../support/qcow2-images.ts'
import { readBytes } from '../../../../support/read-bytes.ts'
import { noise, seeded } from '../../../../support/seeded.ts'

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

describe('hostile qcow2', () => {
  test.each([
    [512, 3],
    [1024, 2],
  ] as const)('mutated images of %d bytes a cluster, version %d', { timeout: 60_000 }, async (clusterSize, version) => {
    const image = await full(clusterSize, version)
    const tables = [
      [0, 160],
      [clusterSize, Math.min(image.length, 12 * clusterSize)],
      [0, image.length],
    ] as const
    await surviveMutations(image, tables, 600, (file) => openOver(file))
  })

  test('mutated images are checked and repaired, or refused', async () => {
    const image = await full(512, 3)
    const fields = new DataView(image.buffer)
    const places = (table: number, entries: number): number[] =>
      Array.from({ length: entries }, (_, i) => Number(fields.getBigUint64(table + i * 8) & 0x00fffffffffffe00n)).filter(
        (place) => place > 0,
      )
    // Where the image's own counts and entries are; with another header or L1 table everything means something else, and no repair can be right.
    const refcountTable = Number(fields.getBigUint64(48))
    const tables = [refcountTable, ...places(refcountTable, 64), ...places(Number(fields.getBigUint64(40)), fields.getUint32(36))]
    const random = seeded(11)
    for (let round = 0; round < 300; round++) {
      const bytes = image.slice()
      const anything = random(2) === 0
      for (let change = random(5); change >= 0; change--) {
        const at = anything ? random(random(2) ? 160 : bytes.length) : tables[random(tables.length)]! + random(512)
        bytes[at] = random(256)
      }
      const file = memoryFile(bytes)
      const limited = Object.setPrototypeOf(
        {
          async write(offset: number, data: Uint8Array) {
            if (offset + data.length > 2 ** 27) throw new AppError('no-space', 'Full.')
            await file.write(offset, data)
          },
        },
        file,
      ) as typeof file
      try {
        const first = await checkQcow2(limited, { repair: true })
        const second = await checkQcow2(limited, { repair: false })
        if (!anything) expect(second.corruptions).toBeLessThanOrEqual(first.corruptions - first.repairedCorruptions)
      } catch (error) {
        if (!(error instanceof AppError) || error.code === 'internal') throw error
      }
    }
  })

  test('tables that overlap are not written', async () => {
    const file = await newQcow2({ size: 1024 * 1024, clusterSize: 4096 })
    patchHeader(file, (head) => head.setBigUint64(40, 2n * 4096n)) // the L1 table where a refcount block lies
    await expect(openOver(file)).rejects.toMatchObject({ code: 'corrupt' })
  })

  test('the guest cannot write the image’s own tables', async () => {
    const file = await newQcow2({ size: 64 * 4096, clusterSize: 4096 })
    const made = await openOver(file)
    await made.write(0, new Uint8Array(4096).fill(1))
    await made.close()
    const tables = new DataView(file.bytes().buffer)
    const l1 = Number(tables.getBigUint64(40))
    const l2 = Number(tables.getBigUint64(l1) & 0x00fffffffffffe00n)
    for (const target of [0, 4096, 2 * 4096, l1, l2]) {
      tables.setBigUint64(l2, BigInt(target) | (1n << 63n))
      const image = await openOver(file)
      await (target === 0
        ? image.write(0, new Uint8Array(10))
        : expect(image.write(0, new Uint8Array(10))).rejects.toMatchObject({ code: 'corrupt' }))
      await image.close()
    }
  })

  test('counts that lie do not give away what is in use', async () => {
    const file = await newQcow2({ size: 64 * 4096, clusterSize: 4096 })
    const made = await openOver(file)
    await made.write(0, new Uint8Array(4096).fill(1))
    await made.close()
    await file.write(2 * 4096, new Uint8Array(4096)) // no cluster is counted
    const image = await openOver(file)
    await expect(image.write(40_000, new Uint8Array(10))).rejects.toMatchObject({ code: 'corrupt' })
    expect((await readBytes(image, 0, 1))[0]).toBe(1)
    const { corruptions, repairedCorruptions } = await image.check({ repair: true })
    expect(repairedCorruptions).toBe(corruptions)
    await image.write(40_000, new Uint8Array(10).fill(2))
    expect((await readBytes(image, 40_000, 1))[0]).toBe(2)
    await image.close()
  })

  test('frames of Zstandard are measured, cut ones are none', () => {
    // One raw block of three bytes, then one run of four; magic, descriptor with a single segment.
    const frame = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 7, (3 << 3) | 0, 0, 0, 1, 2, 3, (4 << 3) | 2 | 1, 0, 0, 9]
    expect(zstdFrameLength(new Uint8Array([...frame, 0, 0, 0]))).toBe(frame.length)
    for (let length = 0; length < frame.length; length++) expect(zstdFrameLength(new Uint8Array(frame.slice(0, length)))).toBeNull()
    expect(zstdFrameLength(new Uint8Array(20))).toBeNull()
  })
})
