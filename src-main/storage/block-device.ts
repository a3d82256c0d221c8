import type { BlockInfo } from '../../src-shared/threads/block-port.ts'

/**
 * A disk as the guest sees it, whatever format holds it. Offsets and lengths are in bytes; any alignment is allowed. Requests may overlap in time:
 * who needs an order between two of them waits for the first (see request-order.ts).
 */
export interface BlockDevice {
  readonly info: BlockInfo
  /** @throws AppError `invalid-input` outside of the device, or the system's reason */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>
  /** @throws AppError `denied` on a read-only device, `invalid-input` outside of it, `no-space`, or the system's reason */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Resolves when everything that was written, data and metadata, is on disk. */
  flush(): Promise<void>
  /** Flushes what is writable, gives up the file and its lock. Idempotent. */
  close(): Promise<void>
}
