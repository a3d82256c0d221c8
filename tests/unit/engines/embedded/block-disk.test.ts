import { describe, expect, onTestFinished, test } from 'vitest'
import { BlockDisk, MAX_REQUEST } from '../../../../src-main/engines/embedded/block-disk.ts'
import { FloppyDisk, MAX_FLOPPY } from '../../../../src-main/engines/embedded/floppy-disk.ts'
import { MOST_AHEAD } from '../../../../src-main/engines/embedded/read-ahead.ts'
import { READ_FAILED } from '../../../../src-main/engines/embedded/patches.ts'
import type { AppError } from '../../../../src-shared/errors/app-error.ts'
import { Counters } from '../../../../src-shared/threads/counters.ts'
import { MAX_RING_REQUEST, RING_SLOTS, SLOT_BYTES } from '../../../../src-shared/threads/block-ring.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { MemoryDisk } from '../../../guest/support/memory-disk.ts'

interface Opened {
  image: MemoryDisk
  disk: BlockDisk
  counters: Counters
  errors: AppError[]
}

function lend(bytes: Uint8Array<ArrayBuffer>, readOnly = false): { image: MemoryDisk; blocks: ReturnType<MemoryDisk['client']> } {
  const image = new MemoryDisk(bytes, readOnly)
  const blocks = image.client()
  onTestFinished(() => {
    blocks.dispose()
    image.dispose()
  })
  return { image, blocks }
}

async function open(bytes: Uint8Array<ArrayBuffer>, options: { sectorSize?: 512 | 2048; readOnly?: boolean } = {}): Promise<Opened> {
  const { image, blocks } = lend(bytes, options.readOnly)
  const counters = new Counters()
  const errors: AppError[] = []
  const disk = await BlockDisk.open(blocks, { sectorSize: options.sectorSize ?? 512, counters, onError: (error) => errors.push(error) })
  image.requests.length = 0
  return { image, disk, counters, errors }
}

const get = (disk: BlockDisk, offset: number, length: number): Promise<Uint8Array> =>
  // What a drive hands out is valid only until its callback returns.
  new Promise((resolve) => disk.get(offset, length, (bytes) => resolve(bytes === READ_FAILED ? bytes : bytes.slice())))

const flush = (disk: BlockDisk): Promise<boolean> => new Promise((resolve) => disk.flush(resolve))

describe('a disk over a ring of blocks', () => {
  test('reads see the writes before them, and writes keep their bytes and their order', async () => {
    const { image, disk, counters } = await open(new Uint8Array(64 * 1024))
    const bytes = new Uint8Array(1024).fill(7)
    let written = false
    disk.set(512, bytes, () => (written = true))
    bytes.fill(9)
    const read = await get(disk, 512, 1024)
    expect(written).toBe(true)
    expect(read.every((byte) => byte === 7)).toBe(true)
    expect(image.requests).toEqual(['write 512 1024', 'read 512 1024'])
    expect(counters.read()).toMatchObject({ diskReads: 1, diskWrites: 1, diskReadBytes: 1024, diskWrittenBytes: 1024 })
  })

  test('a flush comes after every write before it', async () => {
    const { image, disk } = await open(new Uint8Array(4096))
    disk.set(0, new Uint8Array(512), () => {})
    disk.set(512, new Uint8Array(512), () => {})
    await disk.flushed()
    expect(image.requests).toEqual(['write 0 512', 'write 512 512', 'flush'])
    await disk.idle()
  })

  test('long transfers are split', async () => {
    const { image, disk } = await open(new Uint8Array(3 * MAX_RING_REQUEST))
    expect((await get(disk, 512, 2 * MAX_RING_REQUEST)).length).toBe(2 * MAX_RING_REQUEST)
    await new Promise<void>((resolve) => disk.set(0, new Uint8Array(MAX_RING_REQUEST + 512), resolve))
    await disk.idle()
    expect(image.requests).toEqual([
      `read 512 ${MAX_RING_REQUEST}`,
      `read ${512 + MAX_RING_REQUEST} ${MAX_RING_REQUEST}`,
      `write 0 ${MAX_RING_REQUEST}`,
      `write ${MAX_RING_REQUEST} 512`,
    ])
  })

  test.each([
    ['past the end', 4096, 512],
    ['across the end', 3584, 1024],
    ['too long', 0, MAX_REQUEST + 512],
    ['negative', -512, 512],
  ])('a request %s fails for the guest and reaches no image', async (_name, offset, length) => {
    const { image, disk, errors } = await open(new Uint8Array(4096))
    expect(await get(disk, offset, length)).toBe(READ_FAILED)
    expect(image.requests).toEqual([])
    expect(errors).toHaveLength(1)
  })

  test('an error of the image fails a read; of a write that was answered before, the next flush, once', async () => {
    const { image, disk, errors } = await open(new Uint8Array(4096))
    image.badByte = 600
    expect(await get(disk, 512, 512)).toBe(READ_FAILED)
    disk.onWriteError = () => expect.unreachable()
    let answered = false
    disk.set(512, new Uint8Array(512), () => (answered = true))
    expect(answered).toBe(true)
    await disk.idle()
    // Until a flush has told of it, the guest waits for its writes, and learns at once of those that fail.
    const failed = new Promise<void>((resolve) => (disk.onWriteError = resolve))
    disk.set(512, new Uint8Array(512), () => expect.unreachable())
    await failed
    expect(await flush(disk)).toBe(false)
    expect(await flush(disk)).toBe(true)
    expect(errors).toHaveLength(4)
    image.badByte = null
    expect((await get(disk, 512, 512)).length).toBe(512)
  })

  test('without its cache a write is answered when it is on disk', async () => {
    const { image, disk } = await open(new Uint8Array(4096))
    disk.writeCache = false
    let answered = false
    const done = new Promise<void>((resolve) =>
      disk.set(0, new Uint8Array(512), () => {
        answered = true
        resolve()
      }),
    )
    expect(answered).toBe(false)
    await done
    expect(image.requests).toEqual(['write 0 512', 'flush'])
    const restored = (await open(new Uint8Array(4096))).disk
    restored.set_state(disk.get_state())
    expect(restored.writeCache).toBe(false)
  })

  test('more than the ring holds waits, keeps its order, and is all written', async () => {
    const size = 3 * RING_SLOTS * SLOT_BYTES
    const { image, disk } = await open(new Uint8Array(size))
    let early = 0
    let late = 0
    const bytes = new Uint8Array(SLOT_BYTES)
    for (let at = 0; at < size; at += SLOT_BYTES) {
      bytes.fill(at / SLOT_BYTES)
      let inside = true
      disk.set(at, bytes, () => (inside ? early++ : late++))
      inside = false
    }
    expect(early).toBe(RING_SLOTS)
    await disk.flushed()
    expect(late).toBe(2 * RING_SLOTS)
    expect(image.requests.at(-1)).toBe('flush')
    expect(image.bytes.every((byte, at) => byte === Math.floor(at / SLOT_BYTES) % 256)).toBe(true)
  })

  test('when the image goes, what is asked and what waits fails, each once', async () => {
    const { image, disk, errors } = await open(new Uint8Array(3 * RING_SLOTS * SLOT_BYTES))
    let ends = 0
    disk.onWriteError = () => ends++
    for (let slot = 0; slot < 2 * RING_SLOTS; slot++) disk.set(slot * SLOT_BYTES, new Uint8Array(SLOT_BYTES), () => ends++)
    const read = get(disk, 0, 512)
    image.dispose()
    expect(await read).toBe(READ_FAILED)
    await disk.idle()
    expect(ends).toBe(2 * RING_SLOTS)
    expect(await get(disk, 0, 512)).toBe(READ_FAILED)
    expect(await flush(disk)).toBe(false)
    expect(errors.every(({ code }) => code === 'disconnected')).toBe(true)
  })

  test('reads in order are read ahead of; the bytes are those of the disk, whatever is written in between (compared with a plain array)', async () => {
    const random = seeded(11)
    const content = noise(random, 4 * 1024 * 1024)
    const { image, disk, errors } = await open(content.slice())
    for (let round = 0; round < 60; round++) {
      const length = 512 * (1 + random(random(2) ? 16 : 700))
      let at = 512 * random((content.length - length) / 512)
      for (let n = 0; n < 12 && at + length <= content.length; n++, at += length) {
        if (random(4) === 0) {
          const written = noise(random, 512 * (1 + random(40)))
          const to = Math.min(content.length - written.length, at + 512 * random(64))
          content.set(written, to)
          disk.set(to, written, () => {})
        }
        expect(Buffer.compare(await get(disk, at, length), content.subarray(at, at + length))).toBe(0)
      }
    }
    expect(errors).toEqual([])
    expect(image.requests.length).toBeGreaterThan(60)
  })

  test('reading in order runs ahead by a bounded number of bytes, and never past the end; random reads ask for nothing else', async () => {
    const { image, disk } = await open(new Uint8Array(8 * MOST_AHEAD))
    const random = seeded(5)
    for (let n = 0; n < 40; n++) await get(disk, 8192 * random(100) * 2, 4096)
    expect(image.requests).toHaveLength(40)
    image.requests.length = 0
    let furthest = 0
    for (let at = 0; at < image.bytes.length; at += 65536) {
      await get(disk, at, 65536)
      for (const request of image.requests.splice(0)) {
        const [, offset, length] = request.split(' ').map(Number) as [number, number, number]
        expect(offset).toBe(furthest)
        furthest = offset + length
      }
      expect(furthest - at).toBeLessThanOrEqual(65536 + MOST_AHEAD)
    }
    expect(furthest).toBe(image.bytes.length)
  })

  test('what was read ahead gives way to requests that find no room', async () => {
    const { image, disk } = await open(new Uint8Array(32 * MOST_AHEAD))
    for (let at = 0; at < 8 * 65536; at += 65536) await get(disk, at, 65536)
    // As many slots as the ring has: only without those of the reads ahead do they all fit.
    const half = new Uint8Array(MOST_AHEAD)
    for (let n = 0; n < 8; n++) disk.set((16 + n) * MOST_AHEAD, half, () => {})
    await disk.flushed()
    expect(image.requests.filter((request) => request.startsWith('write'))).toHaveLength(8)
    expect(await get(disk, 8 * 65536, 65536)).toHaveLength(65536)
  })

  test('what was read ahead and could not be read is asked for again, and fails then', async () => {
    const { image, disk, errors } = await open(new Uint8Array(MOST_AHEAD))
    image.badByte = 5 * 65536
    for (let at = 0; at < 5 * 65536; at += 65536) expect(await get(disk, at, 65536)).toHaveLength(65536)
    expect(errors).toEqual([])
    expect(await get(disk, 5 * 65536, 65536)).toBe(READ_FAILED)
    expect(errors).toHaveLength(1)
  })

  test('a read-only image is not written', async () => {
    const { image, disk, errors } = await open(new Uint8Array(4096), { readOnly: true })
    await new Promise<void>((resolve) => {
      disk.onWriteError = resolve
      disk.set(0, new Uint8Array(512), () => {})
    })
    expect(image.requests).toEqual([])
    expect(errors).toHaveLength(1)
  })

  test('sizes that are no whole sectors: a disk is cut, a CD is filled up with zeroes', async () => {
    expect((await open(new Uint8Array(1000))).disk.byteLength).toBe(512)
    const { disk } = await open(new Uint8Array(3000).fill(1), { sectorSize: 2048 })
    expect(disk.byteLength).toBe(4096)
    const last = await get(disk, 2048, 2048)
    expect([last[951], last[952], last.length]).toEqual([1, 0, 2048])
  })
})

describe('a floppy', () => {
  test('is read once, filled up to a size drives know, and written through', async () => {
    const bytes = new Uint8Array(1000 * 1024).fill(3)
    const { image, blocks } = lend(bytes)
    const floppy = await FloppyDisk.open(blocks, { sectorSize: 512, counters: new Counters(), onError: () => {} })
    expect(floppy.byteLength).toBe(1200 * 1024)
    floppy.set(512, new Uint8Array(512).fill(4), () => {})
    await floppy.disk.flushed()
    expect([bytes[511], bytes[512]]).toEqual([3, 4])
    expect(floppy.get_from_cache(512, 1)).toEqual(Uint8Array.of(4))
    expect(image.requests.at(-1)).toBe('flush')
  })

  test('that is larger than any floppy is refused', async () => {
    const { blocks } = lend(new Uint8Array(MAX_FLOPPY + 512))
    const opening = FloppyDisk.open(blocks, { sectorSize: 512, counters: new Counters(), onError: () => {} })
    await expect(opening).rejects.toMatchObject({ code: 'unsupported' })
  })
})
