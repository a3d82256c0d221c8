/**
 * Blocks between threads: a service on a MessagePort, served by the storage thread, called by an engine's thread. The port goes from
 * thread to thread once; the host is not in the path. Offsets and lengths are in bytes.
 */
import { z } from 'zod'
import type { DiskFormat } from '../model/disk-format.ts'
import { call, defineService } from '../rpc/service.ts'

export interface BlockInfo {
  /** Size as the guest sees it, bytes. */
  size: number
  readOnly: boolean
  format: DiskFormat
}

/** Largest single transfer, bytes. Longer ones are split by the caller. */
export const MAX_TRANSFER = 4 * 1024 * 1024

const offset = z.number().int().min(0)
const length = z.number().int().min(1).max(MAX_TRANSFER)
const bytes = z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array && value.length <= MAX_TRANSFER)

export const blockPort = defineService('block', {
  info: call(z.strictObject({})).returns<BlockInfo>(),
  /** Bytes past the end of the file but inside the device read as zeroes. */
  read: call(z.strictObject({ offset, length })).returns<Uint8Array<ArrayBuffer>>(),
  write: call(z.strictObject({ offset, bytes })).returns<void>(),
  /** Answers when data and metadata are on disk. */
  flush: call(z.strictObject({})).returns<void>(),
})
