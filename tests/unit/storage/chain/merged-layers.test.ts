import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MiB } from '../../../../src-shared/base/units.ts'
import { mergedLayers, type Layer } from '../../../../src-main/storage/chain/merged-layers.ts'
import { readBytes } from '../../../support/read-bytes.ts'

const BLOCK = 16

/** A frozen layer of blocks: a number is the byte that fills the block, 0 zeroes, null nothing of its own. */
class FakeLayer implements Layer {
  readonly info
  extents = 0
  closed = false
  #blocks: readonly (number | null)[]
  #scale: number

  /** @param scale blocks are so many times larger */
  constructor(blocks: readonly (number | null)[], scale = 1) {
    this.#blocks = blocks
    this.#scale = BLOCK * scale
    this.info = { size: blocks.length * this.#scale, readOnly: true, format: 'qcow2' as const }
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length; at++) {
      const block = this.#blocks[Math.floor((offset + at) / this.#scale)]
      if (!block) throw new Error(`Nobody should have read ${offset + at} here.`)
      into[at] = block
    }
  }

  async extent(offset: number, length: number) {
    this.extents++
    const first = Math.floor(offset / this.#scale)
    const block = this.#blocks[first]
    return {
      length: Math.min(length, (first + 1) * this.#scale - offset),
      state: block === null ? ('unallocated' as const) : block === 0 ? ('zero' as const) : ('data' as const),
    }
  }

  async close(): Promise<void> {
    this.closed = true
  }
}

/** What the disk has, newest layer first. */
function flat(layers: readonly (readonly (number | null)[])[]): Uint8Array {
  const blocks = layers[0]!.map((_, at) => {
    for (const layer of layers) {
      if (at >= layer.length) return 0
      const block = layer[at]
      if (block !== null && block !== undefined) return block
    }
    return 0
  })
  return Uint8Array.from(blocks.flatMap((block) => Array<number>(BLOCK).fill(block)))
}

const block = fc.oneof(fc.constant(null), fc.constant(null), fc.nat(255))
const layer = fc.array(block, { minLength: 1, maxLength: 20 })

describe('merged layers', () => {
  test('read as the newest layer that has the bytes, whatever the sizes of the older ones', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 6 }), fc.nat(), fc.nat(), async (layers, from, to) => {
        const device = mergedLayers(
          layers.map((blocks) => new FakeLayer(blocks)),
          'a',
        )
        const expected = flat(layers)
        const [start, end] = [from % (expected.length + 1), to % (expected.length + 1)].sort((a, b) => a - b) as [number, number]
        expect(await readBytes(device, start, end - start)).toEqual(expected.subarray(start, end))
        for (let at = 0; at < expected.length;) {
          const { length, state } = await device.extent(at, expected.length - at)
          expect(length).toBeGreaterThan(0)
          const bytes = expected.subarray(at, at + length)
          if (state === 'zero') expect(bytes.every((byte) => byte === 0)).toBe(true)
          else expect(bytes.every((byte) => byte !== 0)).toBe(true)
          at += length
        }
        await device.close()
      }),
    )
  })

  test('the layers are asked once where their bytes are, however often is read', async () => {
    const layers = Array.from({ length: 100 }, (_, at) => new FakeLayer(Array.from({ length: 100 }, (_, i) => (i === at ? at + 1 : null))))
    const device = mergedLayers(layers, 'a')
    const reads = Array.from({ length: 100 }, (_, at) => readBytes(device, at * BLOCK, BLOCK))
    for (const [at, bytes] of (await Promise.all(reads)).entries()) expect(bytes).toEqual(new Uint8Array(BLOCK).fill(at + 1))
    const asked = layers.map(({ extents }) => extents)
    for (let round = 0; round < 10; round++) await readBytes(device, 0, device.info.size)
    expect(layers.map(({ extents }) => extents)).toEqual(asked)
    await device.close()
    expect(layers.every(({ closed }) => closed)).toBe(true)
  })

  test('a disk of many spans; reads go over their edges', async () => {
    const scale = (8 * MiB) / BLOCK
    const layers = [
      [null, 1, null, null, null, null, null, null, null, 2],
      [3, 3, null, null, 0, null, null, 4, 4, 4],
    ].map((blocks) => new FakeLayer(blocks, scale))
    const device = mergedLayers(layers, 'a')
    const bytes = await readBytes(device, 64 * MiB - 2, 4)
    expect([...bytes]).toEqual([4, 4, 4, 4])
    expect([...(await readBytes(device, 72 * MiB - 1, 2))]).toEqual([4, 2])
    expect([...(await readBytes(device, 8 * MiB - 1, 2))]).toEqual([3, 1])
  })

  test('a layer that cannot be asked fails the read, and the next one tries again', async () => {
    const broken = new FakeLayer([1])
    const extent = broken.extent.bind(broken)
    broken.extent = () => Promise.reject(new Error('bad table'))
    const device = mergedLayers([broken], 'a')
    await expect(readBytes(device, 0, 1)).rejects.toThrow('bad table')
    broken.extent = extent
    expect([...(await readBytes(device, 0, 1))]).toEqual([1])
  })

  test('takes no change, and nothing outside or after its end', async () => {
    const device = mergedLayers([new FakeLayer([1])], '/a.qcow2')
    await expect(device.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'denied' })
    await expect(device.discard(0, 1)).rejects.toMatchObject({ code: 'denied' })
    await expect(readBytes(device, BLOCK, 1)).rejects.toMatchObject({ code: 'invalid-input' })
    await device.close()
    await expect(readBytes(device, 0, 1)).rejects.toMatchObject({ code: 'disconnected' })
  })
})
