/**
 * MachineSpec: what an engine is told to build. The planner (host) resolves a MachineConfig and the host's facts into it: all paths
 * absolute and checked, all defaults and all `auto` filled in. Frozen once made.
 */
import { z } from 'zod'
import { BUSES, CACHES } from './disk-bus.ts'
import { diskFormat } from './disk-format.ts'
import { ARCHES, cpusSchema, driveLimitsSchema, memoryMiBSchema, NIC_MODELS, POINTERS } from './machine.ts'
import { macSchema } from './mac.ts'

const absolutePath = z.string().min(1)

export const ACCELERATORS = ['kvm', 'hvf', 'whpx', 'tcg'] as const
export type Accelerator = (typeof ACCELERATORS)[number]

export const qemuSpecSchema = z.strictObject({
  /** The program for the guest's architecture. */
  binary: absolutePath,
  /** "7.2.22" */
  version: z.string(),
  accelerator: z.enum(ACCELERATORS),
  /** As `-machine` takes it: pc, q35 or virt. */
  machineType: z.string().min(1),
  /** Processors that can be added while it runs, together with those it has from the start. */
  maxCpus: cpusSchema,
  /** Whether this QEMU can forbid itself system calls (seccomp). */
  sandbox: z.boolean(),
  devices: z.enum(['modern', 'legacy']),
  display: z.enum(['vga', 'virtio', 'none']),
  firmware: z.discriminatedUnion('kind', [
    /** `code` null: the BIOS that this QEMU brings. */
    z.strictObject({ kind: z.literal('bios'), code: absolutePath.nullable() }),
    z.strictObject({
      kind: z.enum(['uefi', 'uefi-secure']),
      code: absolutePath,
      /** `template` is copied to `path` (in the bundle) where that is not there yet. Null: this firmware keeps no variables. */
      vars: z.strictObject({ template: absolutePath, path: absolutePath }).nullable(),
      /** Of both files. */
      format: z.enum(['raw', 'qcow2']),
    }),
  ]),
  /** TPM 2.0 by swtpm, which keeps its state in the folder `state` (in the bundle). */
  tpm: z.strictObject({ swtpm: absolutePath, state: absolutePath }).nullable(),
})
export type QemuSpec = z.output<typeof qemuSpecSchema>

/** Where it is plugged in, counted from 0 for each kind; absent: by its order. A machine that was changed while it ran has gaps. */
const place = z.number().int().min(0).max(15).optional()

/**
 * The embedded engine gets each drive's bytes from its block device, given beside the spec under the drive's id; QEMU opens `path`
 * itself, which may be an address of a disk on the network (network-disk.ts). An empty drive has neither.
 */
export const driveSpecSchema = z.strictObject({
  id: z.string(),
  kind: z.enum(['disk', 'cdrom', 'floppy']),
  readOnly: z.boolean(),
  inserted: z.boolean(),
  path: absolutePath.nullable(),
  format: diskFormat,
  limits: driveLimitsSchema.nullable(),
  /** Of disks. Absent: as the machine's devices are (disk-bus.ts). */
  bus: z.enum(BUSES).optional(),
  /** Of disks. Absent: write-back. */
  cache: z.enum(CACHES).optional(),
  place,
})

export const nicSpecSchema = z.strictObject({
  id: z.string(),
  model: z.enum(NIC_MODELS),
  mac: macSchema,
  /** Absent: down. */
  linkUp: z.boolean().optional(),
  /** QEMU itself carries its frames into the network of this computer's card of that name (macOS: vmnet). Absent: Coppice's network thread does. */
  bridge: z.strictObject({ network: z.string(), card: z.string().min(1) }).optional(),
  place,
})

export const machineSpecSchema = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  engine: z.enum(['embedded', 'qemu']),
  arch: z.enum(ARCHES),
  cpus: cpusSchema,
  /** What it is built with. */
  memoryMiB: memoryMiBSchema,
  /** How much of that the guest may use; absent: all. */
  balloonMiB: memoryMiBSchema.optional(),
  /** The embedded engine's; null for QEMU. */
  firmware: z.strictObject({ bios: absolutePath, vgaBios: absolutePath }).nullable(),
  boot: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('kernel'), kernel: absolutePath, initrd: absolutePath.nullable(), cmdline: z.string() }),
    z.strictObject({ kind: z.literal('firmware'), order: z.array(z.enum(['disk', 'cdrom', 'floppy'])) }),
  ]),
  drives: z.array(driveSpecSchema),
  nics: z.array(nicSpecSchema),
  /** Absent: a tablet. */
  pointer: z.enum(POINTERS).optional(),
  serialPorts: z.number().int().min(1).max(4),
  sharedFolders: z.array(z.strictObject({ tag: z.string(), path: absolutePath, readOnly: z.boolean() })),
  /** Where each serial port's output is kept (serial0.log …): the bundle's logs folder. */
  logFolder: absolutePath,
  /** Null unless `engine` is qemu. */
  qemu: qemuSpecSchema.nullable(),
})
export type MachineSpec = z.output<typeof machineSpecSchema>
