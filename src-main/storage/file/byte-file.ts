/**
 * What a format is written on: a file, or in a test a file that tears and forgets what was not synced. Offsets and lengths are in bytes.
 * Errors are the system's, as sentences (AppError).
 */
export interface ByteFile {
  /** For sentences, and to find names relative to it (backing files, extents). */
  readonly path: string
  readonly readOnly: boolean
  /** Bytes, as of the last call: writing past the end lets it grow. */
  readonly size: number
  /** Fills all of `into`; past the file's end it reads as zeroes. */
  read(offset: number, into: Uint8Array): Promise<void>
  /** Writes all of `bytes`, which must not change until it resolves. Nothing is durable, nor is any order kept, before `sync`. */
  write(offset: number, bytes: Uint8Array): Promise<void>
  /** Cuts, or lets grow by a hole. */
  truncate(size: number): Promise<void>
  /**
   * The bytes read as zeroes afterwards, and whole blocks of the file system take no room where it can do that (asynchronously: a long hole holds up
   * nobody); all else is written. The size stays: what lies past the end reads as zeroes already.
   */
  zero(offset: number, length: number): Promise<void>
  /**
   * For bytes that nobody needs any more: they take no room where the file system can do that, and nothing is done where it cannot. They read as zeroes
   * or as before. Absent where there is no file system to ask: `await file.discard?.(offset, length)`.
   */
  discard?(offset: number, length: number): Promise<void>
  /**
   * Where data is, without reading it.
   * @returns the next run of stored bytes that ends after `offset`, beginning at `offset` at the earliest; null when only holes follow up to the end;
   *   everything is one run where the file system cannot tell (macOS, block devices, FAT). Stored bytes may be zeroes all the same.
   */
  nextData(offset: number): Promise<{ start: number; end: number } | null>
  /** Resolves when everything whose write had resolved, and the size, is on disk. */
  sync(): Promise<void>
  /** Does not sync. Idempotent. */
  close(): Promise<void>
}
