/** Control of the storage thread: opens images and hands each out as a block port. */
import { z } from 'zod'
import { call, defineService, event } from '../rpc/service.ts'
import type { BlockInfo } from './block-port.ts'

export const storageThread = defineService('storage', {
  /**
   * Opens an image and serves it on `port` (see block-port.ts) until the port closes or `close` is called. A writable image is locked
   * against a second opener, in this process and others.
   */
  open: call(
    z.strictObject({
      handle: z.string(),
      path: z.string(),
      format: z.enum(['raw']),
      readOnly: z.boolean(),
      port: z.custom<object>(),
    }),
  ).returns<BlockInfo>(),
  /** Flushes and closes. Unknown handles are fine. */
  close: call(z.strictObject({ handle: z.string() })).returns<void>(),
  /** Copies a file, sparse, with progress; the target appears under its name only when whole (temp + fsync + rename). */
  copy: call(z.strictObject({ job: z.string(), from: z.string(), to: z.string() })).returns<{ bytes: number }>(),
  progress: event<{ job: string; done: number; total: number }>(),
})
