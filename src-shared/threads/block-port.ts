/**
 * Blocks between threads: a service on a MessagePort, served by the storage thread, called by an engine's thread. The port goes from
 * thread to thread once; the host is not in the path. Data takes the ring (block-ring.ts) that goes over the port; the port closes with either end. Offsets and lengths are in bytes.
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

export const blockPort = defineService('block', {
  info: call(z.strictObject({})).returns<BlockInfo>(),
  /**
   * Serves a ring in this memory, one for each port. Resolves when the image is closed.
   * @throws AppError `corrupt`: the caller broke the ring's rules; `wrong-state`: there is one
   */
  ring: call(z.strictObject({ memory: z.custom<SharedArrayBuffer>((value) => value instanceof SharedArrayBuffer) })).returns<void>(),
})
