/**
 * A drive of v86 over a ring of blocks. Theory of operation: v86 hands over one request at a time per channel. A write is answered as soon as its bytes are in
 * the ring: the drive has a write cache and says so to its guest, which flushes where it matters; a flush is answered when everything before it is on the host's
 * disk. A guest that switches the cache off, or whose last flush is still owed the news of a failed write, waits for each write. The storage thread
 * keeps the order of requests that touch the same bytes, so that a read sees every write before it. What was answered is written also when this thread dies, as long
 * as the process lives. Offsets and lengths are in bytes.
 */
import { asAppError, type AppError } from '../../../src-shared/errors/app-error.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { MAX_RING_REQUEST } from '../../../src-shared/threads/block-ring.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { BlockClient } from '../engine.ts'
import { openRing, type Lease, type RingClient, type Writing } from '../ring-client.ts'
import { READ_FAILED, type FlushableDisk } from './patches.ts'
import { ReadAhead } from './read-ahead.ts'
import type { V86Disk } from './v86.ts'

/** Largest request a guest can make: 65,536 sectors (ATA READ DMA EXT). A CD drive's counts go further and are refused. */
export const MAX_REQUEST = 65536 * 512
/** Where the boot sector with its partition table is; v86 asks for it without waiting. */
const FIRST_SECTOR = 512
/** Bytes that may wait for the host's disk: guests wait for their writes, but not where they send each word themselves (PIO). */
const MOST_WAITING = 64 * MiB

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
  onAnswered: (() => void) | null = null
  writeCache = true
  readonly #ring: RingClient
  readonly #ahead: ReadAhead
  readonly #size: number
  readonly #options: BlockDiskOptions
  readonly #firstSector: Uint8Array
  /** What the guest asked for, also what it was told is done. Never fails. */
  readonly #underWay = new Set<Promise<void>>()
  /** A write failed, and no flush has said so yet. */
  #writeFailed = false

  private constructor(ring: RingClient, size: number, readOnly: boolean, firstSector: Uint8Array, options: BlockDiskOptions) {
    const { sectorSize } = options
    this.#ring = ring
    this.#size = size
    this.#options = options
    this.#firstSector = firstSector
    this.readOnly = readOnly
    this.byteLength = sectorSize === 2048 ? Math.ceil(size / sectorSize) * sectorSize : size - (size % sectorSize)
    this.#ahead = new ReadAhead(ring, size)
    ring.onWaiting = () => this.#ahead.forget()
  }

  /** @throws what the block port says of an image that cannot be read */
  static async open(blocks: BlockClient, options: BlockDiskOptions): Promise<BlockDisk> {
    const ring = openRing(blocks)
    const info = await blocks.info({})
    const first = await readAll(ring, 0, Math.min(FIRST_SECTOR, info.size))
    return new BlockDisk(ring, info.size, info.readOnly, first, options)
  }

  load(): void {
    this.onload?.({})
  }

  /** `bytes` that `done` gets are valid until it returns. */
  get(offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    this.#track(
      this.#read(offset, length).then(
        (lease) => {
          try {
            done(lease.bytes)
          } finally {
            lease.release()
          }
          this.onAnswered?.()
        },
        (error: unknown) => {
          this.#report(error, 'Reading')
          done(READ_FAILED)
          this.onAnswered?.()
        },
      ),
    )
  }

  /** `bytes` may change when this returns. */
  set(offset: number, bytes: Uint8Array, done: () => void): void {
    const cached = this.writeCache && !this.#writeFailed
    const { taken, written } = this.#write(offset, bytes)
    let open = true
    const end = (tell: (() => void) | null): void => {
      if (!open) return
      open = false
      tell?.()
      this.onAnswered?.()
    }
    if (cached && taken === null) {
      open = false
      done()
    } else if (cached)
      taken!.then(
        () => end(done),
        () => {}, // told below
      )
    const stored = this.writeCache ? written : written.then(() => this.#ring.flush())
    this.#track(
      stored.then(
        () => end(done),
        (error: unknown) => {
          this.#report(error, 'Writing')
          // Who was told "written" learns of it at the next flush.
          this.#writeFailed = true
          end(this.onWriteError)
        },
      ),
    )
  }

  flush(done: (ok: boolean) => void): void {
    this.#track(
      this.flushed()
        .then(
          () => done(true),
          (error: unknown) => {
            this.#report(error, 'Flushing')
            done(false)
          },
        )
        .then(() => this.onAnswered?.()),
    )
  }

  /** Resolves when everything asked for so far has ended and is on disk. */
  async flushed(): Promise<void> {
    const before = [...this.#underWay]
    if (!this.readOnly) await this.#ring.flush()
    await Promise.all(before)
    if (this.readOnly || !this.#writeFailed) return
    this.#writeFailed = false
    throw new Error('An earlier write had failed.')
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  get_and_cache(_offset: number, length: number, done: (bytes: Uint8Array) => void): void {
    done(this.#firstSector.subarray(0, length))
  }

  get_from_cache(offset: number, length: number): Uint8Array | undefined {
    return offset === 0 && length <= this.#firstSector.length ? this.#firstSector.subarray(0, length) : undefined
  }

  /** Nothing of the disk's content belongs into a memory state; but whether its cache is on is the guest's choice. */
  get_state(): unknown[] {
    return [this.writeCache ? 0 : 1]
  }

  set_state(state: unknown[]): void {
    this.writeCache = state[0] !== 1
  }

  /** All that the image has. */
  contents(): Promise<Uint8Array<ArrayBuffer>> {
    return readAll(this.#ring, 0, this.#size)
  }

  async #read(offset: number, length: number): Promise<Lease> {
    const stored = this.#inside(offset, length)
    const { counters } = this.#options
    counters.add('diskReads', 1)
    counters.add('diskReadBytes', length)
    const ahead = stored === length ? this.#ahead.take(offset, length) : null
    const asked = ahead ? null : this.#ask(offset, length, stored)
    this.#ahead.note(offset, length)
    return asked ?? (await ahead) ?? this.#ask(offset, length, stored)
  }

  #ask(offset: number, length: number, stored: number): Promise<Lease> {
    if (stored === length && length <= MAX_RING_REQUEST) return this.#ring.read(offset, length)
    return readAll(this.#ring, offset, stored).then((there) => {
      const bytes = new Uint8Array(length)
      bytes.set(there)
      return { bytes, release: () => {} }
    })
  }

  /** @returns `taken` null: at once. Both reject with why the bytes cannot be written. */
  #write(offset: number, bytes: Uint8Array): { taken: Promise<unknown> | null; written: Promise<void> } {
    try {
      this.#inside(offset, bytes.length)
      if (this.readOnly) throw new Error('The drive is read-only.')
      if (this.#ring.waitingBytes > MOST_WAITING) throw new Error('The host’s disk does not keep up with the guest.')
    } catch (error) {
      const refused = Promise.reject(error as Error)
      return { taken: refused, written: refused }
    }
    const { counters } = this.#options
    counters.add('diskWrites', 1)
    counters.add('diskWrittenBytes', bytes.length)
    this.#ahead.drop(offset, bytes.length)
    const parts: Writing[] = []
    for (let at = 0; at < bytes.length; at += MAX_RING_REQUEST)
      parts.push(this.#ring.write(offset + at, bytes.subarray(at, at + MAX_RING_REQUEST)))
    const written = allOf(parts.map(({ done }) => done))
    const waiting = parts.flatMap(({ taken }) => taken ?? [])
    return { taken: waiting.length === 0 ? null : Promise.race([Promise.all(waiting), written]), written }
  }

  /** How many of the bytes the image really has. */
  #inside(offset: number, length: number): number {
    if (length <= 0 || length > MAX_REQUEST || offset < 0 || offset + length > this.byteLength)
      throw new RangeError(`The guest asked for ${length} bytes at ${offset} of a drive of ${this.byteLength}.`)
    return Math.max(0, Math.min(length, this.#size - offset))
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
  }

  #report(error: unknown, doing: string): void {
    this.#options.onError(asAppError(error, `${doing} a drive`))
  }
}

/** In as many requests as it takes, all at once. */
async function readAll(ring: RingClient, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  const parts: Promise<void>[] = []
  for (let at = 0; at < length; at += MAX_RING_REQUEST) {
    const part = ring.read(offset + at, Math.min(MAX_RING_REQUEST, length - at)).then((lease) => {
      bytes.set(lease.bytes, at)
      lease.release()
    })
    parts.push(part)
  }
  await allOf(parts)
  return bytes
}

/** When all have ended. Rejects as the first of them that does. */
async function allOf(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}
