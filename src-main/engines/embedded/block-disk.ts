/**
 * A drive of v86 over a block port. Theory of operation: v86 hands over one request at a time per channel but believes written data stored at
 * once (PIO writes complete before the data went anywhere), so requests run strictly in the order in which they came, one after the other;
 * a read thus sees every earlier write. The bytes of a write are copied before the call returns. Offsets and lengths are in bytes.
 */
import { Turns } from '../../../src-shared/base/turns.ts'
import { asAppError, type AppError } from '../../../src-shared/errors/app-error.ts'
import { MAX_TRANSFER } from '../../../src-shared/threads/block-port.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { BlockClient } from '../engine.ts'
import { READ_FAILED, type FlushableDisk } from './patches.ts'
import type { V86Disk } from './v86.ts'

/** Largest request a guest can make: 65,536 sectors (ATA READ DMA EXT). A CD drive's counts go further and are refused. */
export const MAX_REQUEST = 65536 * 512
/** Where the boot sector with its partition table is; v86 asks for it without waiting. */
const FIRST_SECTOR = 512

export interface BlockDiskOptions {
  /** Bytes; a size that is no multiple is cut (disks) or filled up with zeroes (CDs). */
  sectorSize: 512 | 2048
  counters: Counters
  /** Told of failed requests, once each. */
  onError(error: AppError): void
}

export class BlockDisk implements V86Disk, FlushableDisk {
  readonly byteLength: number
  readonly readOnly: boolean
  onload?: (event: object) => void
  onWriteError: (() => void) | null = null
  #blocks: BlockClient
  #size: number
  #options: BlockDiskOptions
  #firstSector: Uint8Array
  #turns = new Turns()
  #writeFailed = false

  private constructor(blocks: BlockClient, size: number, readOnly: boolean, firstSector: Uint8Array, options: BlockDiskOptions) {
    const { sectorSize } = options
    this.#blocks = blocks
    this.#size = size
    this.#options = options
    this.#firstSector = firstSector
    this.readOnly = readOnly
    this.byteLength = sectorSize === 2048 ? Math.ceil(size / sectorSize) * sectorSize : size - (size % sectorSize)
  }

  /** @throws what the block port says of an image that cannot be read */
  static async open(blocks: BlockClient, options: BlockDiskOptions): Promise<BlockDisk> {
    const info = await blocks.info({})
    const head = Math.min(FIRST_SECTOR, info.size)
    const first = head === 0 ? new Uint8Array(0) : await blocks.read({ offset: 0, length: head })
    return new BlockDisk(blocks, info.size, info.readOnly, first, options)
  }

  load(): void {
    this.onload?.({})
  }

  get(offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    void this.#turns
      .run(() => this.#read(offset, length))
      .then(done, (error) => {
        this.#report(error, 'Reading')
        done(READ_FAILED)
      })
  }

  set(offset: number, bytes: Uint8Array, done: () => void): void {
    const copy = bytes.slice()
    void this.#turns
      .run(() => this.#write(offset, copy))
      .then(done, (error) => {
        this.#report(error, 'Writing')
        // A guest that was told "written" before must learn of it at its next flush.
        this.#writeFailed = true
        this.onWriteError?.()
      })
  }

  flush(done: (ok: boolean) => void): void {
    void this.flushed().then(
      () => done(true),
      (error) => {
        this.#report(error, 'Flushing')
        done(false)
      },
    )
  }

  /** Resolves when everything asked for so far has ended and is on disk. */
  async flushed(): Promise<void> {
    await this.#turns.run(async () => {
      if (this.readOnly) return
      await this.#blocks.flush({})
      if (this.#writeFailed) {
        this.#writeFailed = false
        throw new Error('An earlier write had failed.')
      }
    })
  }

  /** Resolves when no request is under way. */
  idle(): Promise<void> {
    return this.#turns.idle()
  }

  get_and_cache(_offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    done(this.#firstSector.subarray(0, length))
  }

  get_from_cache(offset: number, length: number): Uint8Array | undefined {
    return offset === 0 && length <= this.#firstSector.length ? this.#firstSector.subarray(0, length) : undefined
  }

  /** Nothing of the disk's content belongs into a memory state. */
  get_state(): unknown[] {
    return [0]
  }

  set_state(): void {}

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const stored = this.#inside(offset, length)
    const { counters } = this.#options
    counters.add('diskReads', 1)
    counters.add('diskReadBytes', length)
    if (stored === length && length <= MAX_TRANSFER) return this.#blocks.read({ offset, length })
    const bytes = new Uint8Array(length)
    for (let at = 0; at < stored; at += MAX_TRANSFER) {
      bytes.set(await this.#blocks.read({ offset: offset + at, length: Math.min(MAX_TRANSFER, stored - at) }), at)
    }
    return bytes
  }

  async #write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#inside(offset, bytes.length)
    if (this.readOnly) throw new Error('The drive is read-only.')
    const { counters } = this.#options
    counters.add('diskWrites', 1)
    counters.add('diskWrittenBytes', bytes.length)
    for (let at = 0; at < bytes.length; at += MAX_TRANSFER) {
      const part = bytes.length <= MAX_TRANSFER ? bytes : bytes.slice(at, at + MAX_TRANSFER)
      await this.#blocks.write({ offset: offset + at, bytes: part }, { transfer: [part.buffer] })
    }
  }

  /** How many of the bytes the image really has. */
  #inside(offset: number, length: number): number {
    if (length <= 0 || length > MAX_REQUEST || offset < 0 || offset + length > this.byteLength)
      throw new RangeError(`The guest asked for ${length} bytes at ${offset} of a drive of ${this.byteLength}.`)
    return Math.max(0, Math.min(length, this.#size - offset))
  }

  #report(error: unknown, doing: string): void {
    this.#options.onError(asAppError(error, `${doing} a drive`))
  }
}
