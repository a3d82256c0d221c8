import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Extent } from '../../../../src-main/storage/block-device.ts'
import { pour, runsOf } from '../../../../src-main/storage/jobs/pour.ts'

const GRAIN = 8

/** A disk made of runs: a number is the byte of a run of data, otherwise what is known of the run. */
function diskOf(runs: readonly { length: number; content: number | 'zero' | 'unallocated' }[]) {
  const size = runs.reduce((sum, { length }) => sum + length, 0)
  const bytes = new Uint8Array(size)
  const states: Extent['state'][] = []
  for (const { length, content } of runs) {
    if (typeof content === 'number') bytes.fill(content, states.length, states.length + length)
    states.push(...Array<Extent['state']>(length).fill(typeof content === 'number' ? 'data' : content))
  }
  return {
    bytes,
    info: { size, readOnly: true, format: 'raw' as const },
    read: async (offset: number, into: Uint8Array) => void into.set(bytes.subarray(offset, offset + into.length)),
    extent: async (offset: number, length: number): Promise<Extent> => {
      let end = offset
      while (end < offset + length && states[end] === states[offset]) end++
      return { length: end - offset, state: states[offset]! }
    },
  }
}

const run = fc.record({
  length: fc.integer({ min: 1, max: 40 }),
  content: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('zero' as const, 'unallocated' as const)),
})

describe('pouring a disk into another', () => {
  test('hands over all data, once, in whole grains, and never a grain of zeroes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 30 }), async (runs) => {
        const disk = diskOf(runs)
        const target = new Uint8Array(disk.info.size)
        const seen = new Uint8Array(disk.info.size)
        let last = 0
        await pour(
          disk,
          {
            async data(offset, bytes) {
              expect(offset % GRAIN).toBe(0)
              expect(bytes.length % GRAIN === 0 || offset + bytes.length === disk.info.size).toBe(true)
              for (let at = 0; at < bytes.length; at += GRAIN) expect(bytes.subarray(at, at + GRAIN).some((byte) => byte !== 0)).toBe(true)
              expect(seen.subarray(offset, offset + bytes.length).some((mark) => mark !== 0)).toBe(false)
              seen.fill(1, offset, offset + bytes.length)
              target.set(bytes, offset)
            },
          },
          {
            grain: GRAIN,
            progress(done) {
              expect(done).toBeGreaterThanOrEqual(last)
              last = done
            },
          },
        )
        expect(target).toEqual(disk.bytes)
        expect(last).toBe(disk.info.size)
      }),
    )
  })

  test('of a layer: what is zero is told, what it says nothing of is left out', async () => {
    const disk = diskOf([
      { length: 16, content: 'unallocated' },
      { length: 8, content: 'zero' },
      { length: 8, content: 5 },
      { length: 8, content: 0 },
      { length: 8, content: 'unallocated' },
    ])
    const told: string[] = []
    const sink = {
      data: async (offset: number, { length }: Uint8Array) => void told.push(`data ${offset} ${length}`),
      zeroes: async (offset: number, length: number) => void told.push(`zeroes ${offset} ${length}`),
    }
    await pour(disk, sink, { grain: GRAIN, progress: () => {} })
    expect(told.sort()).toEqual(['data 24 8', 'zeroes 16 8', 'zeroes 32 8'])
  })

  test('ends when it is to end, and fails with the first failure, after what is under way', async () => {
    const disk = diskOf(Array.from({ length: 200 }, (_, at) => ({ length: 8, content: at % 2 === 0 ? 1 : ('zero' as const) })))
    let under = 0
    const data = async (offset: number): Promise<void> => {
      under++
      await new Promise((done) => setTimeout(done, 1))
      under--
      if (offset === 80) throw new Error('the disk is full')
    }
    await expect(pour(disk, { data }, { grain: GRAIN, progress: () => {} })).rejects.toThrow('the disk is full')
    expect(under).toBe(0)
    const stop = AbortSignal.abort()
    await expect(pour(disk, { data }, { grain: GRAIN, progress: () => stop.throwIfAborted() })).rejects.toThrow('aborted')
  })
})

test('runs of zeroes and of data, by whole grains', () => {
  expect(runsOf(Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 2, 2), 2)).toEqual([
    [0, 2, true],
    [2, 4, false],
    [4, 6, true],
    [6, 9, false],
  ])
  const large = new Uint8Array(300_000)
  expect(runsOf(large, 300_000)).toEqual([[0, 300_000, true]])
  large[200_000] = 1
  expect(runsOf(large, 300_000)).toEqual([[0, 300_000, false]])
  const block = 64 * 1024
  const bytes = new Uint8Array(5 * block + 10)
  for (const at of [block, 3 * block - 1, 5 * block + 9]) bytes[at] = 1
  expect(runsOf(bytes, block).filter(([, , zero]) => !zero)).toEqual([
    [block, 3 * block, false],
    [5 * block, 5 * block + 10, false],
  ])
  expect(runsOf(new Uint8Array(block), block)).toEqual([[0, block, true]])
  expect(runsOf(new Uint8Array(0), 8)).toEqual([])
})
