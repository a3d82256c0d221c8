import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actLikeModel } from '../../../../support/disk-model.ts'
import { BACKING, belowBytes, expectSound, newQcow2, openOver } from '../../../../support/qcow2-images.ts'

const widths = fc.constantFrom(1, 2, 4, 8, 16, 32, 64)
const layouts = fc.record({
  clusterSize: fc.constantFrom(512, 1024, 4096, 65_536),
  format: fc.oneof(
    fc.constant({ version: 2 as const, refcountBits: 16, lazyRefcounts: false }),
    fc.record({ version: fc.constant(3 as const), refcountBits: widths, lazyRefcounts: fc.boolean() }),
  ),
  /** Bytes of the backing, as a part of the disk's; null: none. */
  below: fc.option(fc.constantFrom(0.4, 1, 1.3)),
  clusters: fc.integer({ min: 1, max: 300 }),
  seed: fc.nat({ max: 1_000_000 }),
})

describe('qcow2 against plain bytes', () => {
  test('any requests in any layout', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(layouts, async ({ clusterSize, format, below, clusters, seed }) => {
        const size = clusters * clusterSize + (seed % 2) * 512
        const bytes = below === null ? null : belowBytes(Math.ceil((size * below) / 512) * 512)
        const file = await newQcow2({ size, clusterSize, ...format, backing: bytes ? BACKING : null })
        const model = new Uint8Array(size)
        if (bytes) model.set(bytes.subarray(0, size))
        const last = await actLikeModel(await openOver(file, bytes), model, {
          seed,
          steps: 60,
          longest: Math.min(size, clusterSize * 5),
          hasBacking: bytes !== null,
          async reopen(device) {
            await device.close()
            await expectSound(file)
            return openOver(file, bytes)
          },
        })
        await last.close()
        expect(file.size % clusterSize).toBe(0)
      }),
      { numRuns: 60 },
    )
  })
})
