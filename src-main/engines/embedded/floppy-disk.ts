/**
 * A floppy of v86: its drive wants the whole image in memory. It is read through the block port once; what the guest writes goes there too,
 * in order.
 */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { KiB } from '../../../src-shared/base/units.ts'
import type { BlockClient } from '../engine.ts'
import { BlockDisk, type BlockDiskOptions } from './block-disk.ts'
import type { V86Disk } from './v86.ts'

/** Largest floppy: 2.88 MB (36 sectors on 80 tracks, two sides). */
export const MAX_FLOPPY = 2880 * KiB
/** Sizes that drives know. An image in between is filled up with zeroes to the next. */
const FORMATS = [160, 180, 320, 360, 720, 1200, 1440, 2880].map((size) => size * KiB)

export class FloppyDisk implements V86Disk {
  readonly byteLength: number
  readonly buffer: ArrayBuffer
  readonly readOnly: boolean
  onload?: (event: object) => void
  /** Where writes go. */
  readonly disk: BlockDisk
  #bytes: Uint8Array

  private constructor(disk: BlockDisk, bytes: Uint8Array<ArrayBuffer>) {
    this.disk = disk
    this.#bytes = bytes
    this.buffer = bytes.buffer
    this.byteLength = bytes.length
    this.readOnly = disk.readOnly
  }

  /** @throws AppError `unsupported` for an image that is larger than any floppy */
  static async open(blocks: BlockClient, options: BlockDiskOptions): Promise<FloppyDisk> {
    const { size } = await blocks.info({})
    if (size > MAX_FLOPPY)
      throw new AppError(
        'unsupported',
        `This floppy image has ${size} bytes; the largest floppy has ${MAX_FLOPPY}. Attach it as a disk or a CD instead.`,
      )
    const disk = await BlockDisk.open(blocks, options)
    const bytes = new Uint8Array(FORMATS.find((format) => format >= size)!)
    bytes.set(await disk.contents())
    return new FloppyDisk(disk, bytes)
  }

  load(): void {
    this.onload?.({})
  }

  get(offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    done(this.#bytes.slice(offset, offset + length))
  }

  set(offset: number, bytes: Uint8Array, done: () => void): void {
    this.#bytes.set(bytes, offset)
    this.disk.set(offset, bytes, () => {})
    done()
  }

  get_and_cache(offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.get(offset, length, done)
  }

  get_from_cache(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(offset, offset + length)
  }

  get_state(): unknown[] {
    return [0]
  }

  set_state(): void {}
}
