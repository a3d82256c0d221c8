import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareDisks } from '../../../../src-main/storage/jobs/compare-disks.ts'
import { createImage } from '../../../../src-main/storage/jobs/create-image.ts'
import { openImage, openLayer } from '../../../../src-main/storage/open-image.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { makeChain } from '../../../support/disk-chain.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const KiB = 1024
const BLOCK = 4 * KiB
const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const chosen = (path: string) => ({ path, format: 'qcow2' as const, folders: [] })

async function overlay(path: string, below: string, clusterSize: number, writes: [offset: number, bytes: Uint8Array][]): Promise<void> {
  await createImage({ path, format: 'qcow2', size: null, backing: chosen(below), clusterSize })
  const disk = await openImage({ path, format: 'qcow2', readOnly: false, folders: [join(path, '..')] })
  for (const [offset, bytes] of writes) await disk.write(offset, bytes)
  await disk.close()
}

async function shown(path: string): Promise<Uint8Array> {
  const disk = await openImage({ path, format: 'qcow2', readOnly: true, folders: [join(path, '..')] })
  const bytes = await readBytes(disk, 0, disk.info.size)
  await disk.close()
  return bytes
}

/** Numbers of the blocks that differ. */
function changed(before: Uint8Array, after: Uint8Array): number[] {
  const size = Math.max(before.length, after.length)
  const [ours, theirs] = [before, after].map((bytes) => {
    const whole = Buffer.alloc(size)
    whole.set(bytes)
    return whole
  }) as [Buffer, Buffer]
  return Array.from({ length: Math.ceil(size / BLOCK) }, (_, i) => i).filter(
    (i) => !ours.subarray(i * BLOCK, (i + 1) * BLOCK).equals(theirs.subarray(i * BLOCK, (i + 1) * BLOCK)),
  )
}

describe('comparing two states of a disk', () => {
  test('reads only what lies in different files, and says where it differs', async () => {
    const folder = await tempFolder()
    const chain = await makeChain(folder, [{ size: 1024 * KiB, clusterSize: 4 * KiB }], 0, seeded(1))
    const base = chain.layers[0]!.path
    const layer = await openLayer({ path: base, format: 'qcow2', readOnly: false })
    await layer.write(0, noise(seeded(2), 900 * KiB))
    await layer.close()
    const [a, b] = [join(folder, 'a.qcow2'), join(folder, 'b.qcow2')]
    const same = (await shown(base)).slice(64 * KiB, 72 * KiB)
    await overlay(a, base, 4 * KiB, [[8 * KiB, noise(seeded(3), 8 * KiB)]])
    await overlay(b, base, 4 * KiB, [
      [512 * KiB + 100, noise(seeded(4), 10)],
      [64 * KiB, same],
    ])
    const told: [number, number][] = []
    const options = { ...quiet, onProgress: (...now: [number, number]) => void told.push(now) }
    const found = await compareDisks({ before: chosen(a), after: chosen(b), parts: 4 }, options)
    expect(found).toEqual({
      sizes: { before: 1024 * KiB, after: 1024 * KiB },
      ...{ blockSize: BLOCK, changedBlocks: 3, changedBytes: 12 * KiB, comparedBytes: 20 * KiB },
      ...{ part: 256 * KiB, parts: [8 * KiB, 0, 4 * KiB, 0] },
    })
    expect(told.at(-1)).toEqual([1024 * KiB, 1024 * KiB])
    const nothing = await compareDisks({ before: chosen(a), after: chosen(a), parts: 4 }, quiet)
    expect(nothing).toMatchObject({ changedBlocks: 0, comparedBytes: 0, parts: [0, 0, 0, 0] })
  })

  test('finds what a comparison of all bytes finds', { timeout: 60_000 }, async () => {
    const branch = fc.record({
      clusterSize: fc.constantFrom(512, 1024, 4096, 65_536),
      sectors: fc.oneof(fc.constant(400), fc.integer({ min: 1, max: 600 })),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(branch, { minLength: 2, maxLength: 5 }),
        fc.nat({ max: 1e6 }),
        fc.integer({ min: 1, max: 40 }),
        async (specs, seed, parts) => {
          const folder = await mkdtemp(join(tmpdir(), 'coppice-test-'))
          try {
            const random = seeded(seed + 1)
            const layers = specs.map(({ clusterSize, sectors }) => ({ clusterSize, size: sectors * 512 }))
            const { layers: files } = await makeChain(folder, layers, 8, random)
            const [before, after] = [files[random(files.length)]!.path, files[random(files.length)]!.path]
            const found = await compareDisks({ before: chosen(before), after: chosen(after), parts }, quiet)
            const [ours, theirs] = [await shown(before), await shown(after)]
            const blocks = changed(ours, theirs)
            const size = Math.max(ours.length, theirs.length)
            const bytesOf = (block: number): number => Math.min(BLOCK, size - block * BLOCK)
            expect(found.changedBlocks).toBe(blocks.length)
            expect(found.changedBytes).toBe(blocks.reduce((sum, block) => sum + bytesOf(block), 0))
            expect(found.parts.length).toBe(Math.ceil(size / found.part))
            expect(found.parts.length).toBeLessThanOrEqual(parts)
            for (const [i, bytes] of found.parts.entries()) {
              const within = blocks.filter((block) => Math.floor((block * BLOCK) / found.part) === i)
              expect(bytes).toBe(within.reduce((sum, block) => sum + bytesOf(block), 0))
            }
          } finally {
            await rm(folder, { recursive: true })
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('fails as its images do, and when it is cancelled', async () => {
    const folder = await tempFolder()
    const { layers } = await makeChain(
      folder,
      [
        { size: 256 * KiB, clusterSize: 512 },
        { size: 256 * KiB, clusterSize: 512 },
      ],
      10,
      seeded(1),
    )
    const [before, after] = [chosen(layers[0]!.path), chosen(layers[1]!.path)]
    await expect(compareDisks({ before, after: chosen(join(folder, 'none')), parts: 1 }, quiet)).rejects.toMatchObject({
      code: 'not-found',
    })
    await writeFile(join(folder, 'bad'), new Uint8Array(4096))
    await expect(compareDisks({ before: chosen(join(folder, 'bad')), after, parts: 1 }, quiet)).rejects.toMatchObject({ code: 'corrupt' })
    const writer = await openLayer({ path: layers[1]!.path, format: 'qcow2', readOnly: false })
    await expect(compareDisks({ before, after, parts: 1 }, quiet)).rejects.toMatchObject({ code: 'busy' })
    await writer.close()
    const stop = new AbortController()
    const options = { signal: stop.signal, onProgress: () => stop.abort(AppError.cancelled()) }
    await expect(compareDisks({ before, after, parts: 1 }, options)).rejects.toMatchObject({ code: 'cancelled' })
    // Nothing is left open.
    await (await openLayer({ path: layers[1]!.path, format: 'qcow2', readOnly: false })).close()
  })
})
