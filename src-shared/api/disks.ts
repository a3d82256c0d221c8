/** The disks of machines: what they take, what can be done with each now, and doing it. What is plugged in where stands in the machine's configuration. */
import { z } from 'zod'
import { diskUseSchema, newDiskSchema } from '../model/new-disk.ts'
import { MAX_DRIVES } from '../model/machine.ts'
import { call, defineService } from '../rpc/service.ts'
import type { MachineView } from './machines.ts'

const machine = z.string()

export const disks = defineService('disks', {
  /**
   * Adds disks, all or none, behind those that it has; to a machine that runs where that is possible (`live.why.addDisk`). Errors as of `machines.update`;
   * fields are `disks.N` or those of the machine's configuration.
   */
  add: call(
    z.strictObject({
      machine,
      disks: z
        .array(z.strictObject({ source: newDiskSchema, use: diskUseSchema.default({}) }))
        .min(1)
        .max(MAX_DRIVES),
    }),
  ).returns<MachineView>(),
})
