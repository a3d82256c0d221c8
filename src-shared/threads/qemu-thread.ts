/** What QEMU's thread does beside being an engine (engine-thread.ts). */
import { z } from 'zod'
import type { QemuFacts } from '../model/engine-facts.ts'
import { call, defineService } from '../rpc/service.ts'

export const qemuThread = defineService('qemu', {
  /**
   * What there is of QEMU on this computer, and what of it works. Programs that have not changed since the last time are not run again.
   * `refresh` tries everything anew: for people who have just changed something that no file shows, as a setting in the firmware.
   */
  find: call(
    z.strictObject({
      /** The app's own resources, where a QEMU may be in the folder qemu. */
      resources: z.string().min(1),
      cacheFolder: z.string().min(1),
      refresh: z.boolean().default(false),
    }),
  ).returns<QemuFacts>(),
})
