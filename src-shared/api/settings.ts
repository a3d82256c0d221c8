/** The user's choices, kept in <library>/settings.json. */
import { z } from 'zod'
import { MEMORY_MIB } from '../model/machine.ts'
import { patchSchema } from '../model/patch.ts'
import { call, defineService, event } from '../rpc/service.ts'

export const settingsSchema = z.strictObject({
  theme: z.enum(['system', 'light', 'dark']).default('system'),
  consoleFontSize: z.number().int().min(8).max(32).default(13),
  copyOnSelect: z.boolean().default(false),
  confirmMultilinePaste: z.boolean().default(true),
  /** Lines the window's terminals keep above the screen. */
  scrollbackLines: z.number().int().min(100).max(100_000).default(10_000),
  defaultMemoryMiB: z.number().int().min(MEMORY_MIB.min).max(MEMORY_MIB.max).default(MEMORY_MIB.default),
  /** What closing the last window does with running machines. */
  onCloseWithRunning: z.enum(['ask', 'suspend', 'shutdown', 'background']).default('ask'),
})
export type Settings = z.output<typeof settingsSchema>

export const settings = defineService('settings', {
  get: call(z.strictObject({})).returns<Settings>(),
  /** Absent fields stay. */
  set: call(patchSchema(settingsSchema.shape)).returns<Settings>(),
  changed: event<Settings>(),
})
