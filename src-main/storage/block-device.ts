import type { BlockInfo } from '../../src-shared/threads/block-port.ts'

/**
 * A disk as the guest sees it, whatever format holds it. Offsets and lengths are in bytes; any alignment is allowed. Requests may overlap in time:
 * who needs an order between two that touch the same bytes waits for the first (see request-order.ts).
 *
 * Every call but `close` rejects with AppError `invalid-input` outside of the device and `disconnected` after `close`; with `corrupt` where the image's own
 * metadata lies; with the system's reason (`no-space`, `io` …) where its file fails. What changes the disk rejects with `denied` on a read-only one.
 */
export interface BlockDevice {
  readonly info: BlockInfo
  /** Fills all of `into`. */
  read(offset: number, into: Uint8Array): Promise<void>
  /** The bytes must not change until it resolves. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** As a write of zeroes, in as little room and time as the format allows. */
  writeZeroes(offset: number, length: number): Promise<void>
  /** The guest needs these bytes no more: they may read as zeroes or as before afterwards, never as anything else (such as what an older layer has). */
  discard(offset: number, length: number): Promise<void>
  /** Resolves when everything whose write had resolved, data and metadata, is on disk. */
  flush(): Promise<void>
  /**
   * What the image itself has of the disk, without reading data: a run that begins at `offset` and is not empty. It may end before the state changes (so
   * that one call has bounded work) and never goes past `offset + length`.
   */
  extent(offset: number, length: number): Promise<Extent>
  /** Flushes what is writable, gives up the file and its lock. Idempotent. */
  close(): Promise<void>
}

export interface Extent {
  /** Bytes, at least 1. */
  length: number
  /** `data`: bytes are stored. `zero`: known to be zeroes. `unallocated`: this layer says nothing: its backing shows through, or zeroes without one. */
  state: 'data' | 'zero' | 'unallocated'
}
