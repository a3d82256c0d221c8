import { describe, expect, onTestFinished, test } from 'vitest'
import { BlockDisk, MAX_REQUEST } from '../../../../src-main/engines/embedded/block-disk.ts'
import { FloppyDisk, MAX_FLOPPY } from '../../../../src-main/engines/embedded/floppy-disk.ts'
import { READ_FAILED } from '../../../../src-main/engines/embedded/patches.ts'
import type { AppError } from '../../../../src-shared/errors/app-error.ts'
import { Counters } from '../../../../src-shared/threads/counters.ts'
import { MAX_TRANSFER } from '../../../../src-shared/threads/block-port.ts'
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
  new Promise((resolve) => disk.get(offset, length, resolve))

describe('a disk over a block port', () => {
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
    const { image, disk } = await open(new Uint8Array(3 * MAX_TRANSFER))
    expect((await get(disk, 512, 2 * MAX_TRANSFER)).length).toBe(2 * MAX_TRANSFER)
    await new Promise<void>((resolve) => disk.set(0, new Uint8Array(MAX_TRANSFER + 512), resolve))
    expect(image.requests).toEqual([
      `read 512 ${MAX_TRANSFER}`,
      `read ${512 + MAX_TRANSFER} ${MAX_TRANSFER}`,
      `write 0 ${MAX_TRANSFER}`,
      `write ${MAX_TRANSFER} 512`,
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

  test('an error of the image fails the request, and of a write also the next flush, once', async () => {
    const { image, disk, errors } = await open(new Uint8Array(4096))
    image.badByte = 600
    expect(await get(disk, 512, 512)).toBe(READ_FAILED)
    const failed = new Promise<void>((resolve) => (disk.onWriteError = resolve))
    disk.set(512, new Uint8Array(512), () => expect.unreachable())
    await failed
    expect(await new Promise((resolve) => disk.flush(resolve))).toBe(false)
    expect(await new Promise((resolve) => disk.flush(resolve))).toBe(true)
    expect(errors).toHaveLength(3)
    image.badByte = null
    expect((await get(disk, 512, 512)).length).toBe(512)
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
