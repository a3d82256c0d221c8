/**
 * MachineSpec: what an engine is told to build. The planner (host) resolves a MachineConfig and the host's facts into it: all paths
 * absolute and checked, all defaults filled in. Frozen once made.
 */
import { z } from 'zod'
import { macSchema, memoryMiBSchema } from './machine.ts'

const absolutePath = z.string().min(1)

export const machineSpecSchema = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  arch: z.enum(['i386', 'x86_64']),
  memoryMiB: memoryMiBSchema,
  firmware: z.strictObject({ bios: absolutePath, vgaBios: absolutePath }),
  boot: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('kernel'), kernel: absolutePath, initrd: absolutePath.nullable(), cmdline: z.string() }),
    z.strictObject({ kind: z.literal('firmware'), order: z.array(z.enum(['disk', 'cdrom', 'floppy'])) }),
  ]),
  /** Each drive's bytes come from its block device, given beside the spec under the drive's id; an empty drive has none. */
  drives: z.array(
    z.strictObject({ id: z.string(), kind: z.enum(['disk', 'cdrom', 'floppy']), readOnly: z.boolean(), inserted: z.boolean() }),
  ),
  nics: z.array(z.strictObject({ id: z.string(), model: z.enum(['virtio', 'ne2k']), mac: macSchema })),
  serialPorts: z.number().int().min(1).max(4),
  /** Where each serial port's output is kept (serial0.log …): the bundle's logs folder. */
  logFolder: absolutePath,
})
export type MachineSpec = z.output<typeof machineSpecSchema>
