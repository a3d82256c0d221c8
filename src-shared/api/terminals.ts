/** Terminals on the host computer (node-pty). Refused where the host was started without them. */
import { z } from 'zod'
import { call, defineService, stream } from '../rpc/service.ts'

const size = { cols: z.number().int().min(2).max(1000), rows: z.number().int().min(1).max(1000) }

export const terminals = defineService('terminals', {
  /** A shell; the stream ends when it exits, and closing the stream ends it. */
  open: stream(z.strictObject({ ...size, cwd: z.string().nullable().default(null) })).returns<{ terminal: string; shell: string }>(),
  resize: call(z.strictObject({ terminal: z.string(), ...size })).returns<void>(),
})
