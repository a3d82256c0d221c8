import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { mergeLayers } from '../../../../src-main/storage/jobs/merge-layers.ts'
import { expectChain, makeChain } from '../../../support/disk-chain.ts'
import { seeded } from '../../../support/seeded.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }

const layer = fc.record({
  clusterSize: fc.constantFrom(512, 1024, 4096, 65_536),
  kind: fc.constantFrom(
    { version: 2 as const },
    { version: 3 as const },
    { version: 3 as const, refcountBits: 1 },
    { lazyRefcounts: true },
  ),
  /** Of 512 bytes. */
  sectors: fc.oneof(fc.constant(300), fc.integer({ min: 1, max: 600 })),
})

test('any chain, merged in any order, shows the same disk after every step', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(layer, { minLength: 3, maxLength: 5 }),
      fc.boolean(),
      fc.integer({ min: 0, max: 12 }),
      fc.nat({ max: 1_000_000 }),
      async (specs, raw, writes, seed) => {
        const folder = await mkdtemp(join(tmpdir(), 'coppice-test-'))
        try {
          const random = seeded(seed + 1)
          const layers = specs.map(({ clusterSize, kind, sectors }, i) =>
            raw && i === 0 ? { raw: sectors * 512 } : { clusterSize, ...kind, size: sectors * 512 },
          )
          const chain = await makeChain(folder, layers, writes, random)
          await expectChain(chain)
          while (chain.layers.length > 1) {
            const at = random(chain.layers.length - 1)
            const [lower, upper] = [chain.layers[at]!, chain.layers[at + 1]!]
            await mergeLayers({ lower, upper, folders: [] }, quiet)
            await expect(access(lower.path)).rejects.toMatchObject({ code: 'ENOENT' })
            chain.layers.splice(at, 1)
            await expectChain(chain)
          }
        } finally {
          await rm(folder, { recursive: true })
        }
      },
    ),
    { numRuns: 50 },
  )
})
