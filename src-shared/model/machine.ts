/**
 * machine.json: what a machine is, as its bundle keeps it. Transient things (state, pids, progress) never stand here.
 * `parseMachineConfig` is the only way in: it migrates older versions, refuses newer ones, and reports every wrong field at once.
 */
import { z } from 'zod'
import { AppError } from '../errors/app-error.ts'
import { fieldErrors } from '../errors/field-errors.ts'
import { BUSES, CACHES } from './disk-bus.ts'
import { diskFormat } from './disk-format.ts'
import { macSchema } from './mac.ts'
import { nameSchema } from './names.ts'
import { networkNameSchema } from './network.ts'
import { isNetworkAddress, parseNetworkDisk } from './network-disk.ts'
import { patchSchema } from './patch.ts'
import { KEEP_WHEN_OFF, runSchema, whenOffSchema } from './run.ts'
import { NO_SCHEDULE, snapshotScheduleSchema } from './snapshot-schedule.ts'
import { NO_VNC_EXPORT, vncExportSchema } from './vnc.ts'

export const MACHINE_SCHEMA = 1
export const ENGINES = ['auto', 'embedded', 'qemu'] as const
export const ARCHES = ['i386', 'x86_64', 'aarch64', 'riscv64'] as const
export type Arch = (typeof ARCHES)[number]

/** Whether machines of this processor are PCs: they have a BIOS, a VGA display and floppy drives where wished. */
export function isPc(arch: Arch): boolean {
  return arch === 'i386' || arch === 'x86_64'
}

/** What a configuration may say; what an engine and this computer can give is the planner's word (engine-limits.ts). */
export const MEMORY_MIB = { min: 16, max: 16 * 1024 * 1024, step: 1, default: 256 } as const
export const CPUS = { min: 1, max: 64, default: 1 } as const
export const SERIAL_PORTS = { min: 1, max: 4 } as const
export const MAX_DRIVES = 8
/** Disks on PCI (virtio, NVMe) that a machine takes while it runs: the places that are there from its start. */
export const HOT_DISKS = 4
export const MAX_NICS = 4
export const MAX_SHARED_FOLDERS = 8
/** Characters: what a virtio-9p device's configuration holds (QEMU's MAX_TAG_LEN less its end). */
const MAX_TAG = 31
export const MAX_NOTES = 64 * 1024

/**
 * A file that a machine uses: relative paths are inside its bundle (never through "..") and use "/", absolute ones are the user's own
 * files elsewhere, which the machine refers to and never owns.
 */
const placeSchema = z
  .string()
  .min(1, 'Choose a file.')
  .max(4096, 'The path is too long.')
  .refine((path) => !path.includes('\0'), 'The path contains a control character.')
  .refine(
    (path) => isAbsolutePath(path) || !/^[A-Za-z]:/.test(path),
    'The path has a drive letter but is not complete: write it as in C:\\disks\\a.img.',
  )
  .refine((path) => isAbsolutePath(path) || !path.split(/[/\\]/).includes('..'), 'The path leaves the machine’s bundle.')

export const filePathSchema = placeSchema.refine(
  (path) => !isNetworkAddress(path),
  'This is an address on the network: a file of this computer is needed here.',
)

/** A file, or an address of a disk on the network (network-disk.ts). */
export const diskPathSchema = placeSchema.superRefine((path, context) => {
  const address = isNetworkAddress(path) ? parseNetworkDisk(path) : null
  if (typeof address === 'string') context.addIssue({ code: 'custom', message: address })
})

/** An address on the network counts: nothing of it lies in the bundle. */
export function isAbsolutePath(path: string): boolean {
  return isNetworkAddress(path) || path.startsWith('/') || path.startsWith('\\\\') || /^[A-Za-z]:[\\/]/.test(path)
}

/** What a drive may do at most; absent: as much as it can. */
export const driveLimitsSchema = z.strictObject({
  /** Reads and writes together, each second. */
  iops: z.number().int().min(1, 'A drive needs at least one operation a second.').max(10_000_000).optional(),
  /** Read and written together, each second. */
  bytesPerSecond: z
    .number()
    .int()
    .min(4096, 'A drive needs at least 4 KiB a second.')
    .max(1024 ** 4)
    .optional(),
})
export type DriveLimits = z.output<typeof driveLimitsSchema>

export const driveSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]{1,32}$/),
  kind: z.enum(['disk', 'cdrom', 'floppy']),
  /** Null: an empty drive (CD and floppy only). */
  path: diskPathSchema.nullable(),
  /** Declared here; found out once, when the image becomes the machine's. CDs and floppies are raw. */
  format: diskFormat.default('raw'),
  readOnly: z.boolean().default(false),
  limits: driveLimitsSchema.nullable().default(null),
  /** Of disks. Absent: as the machine's devices are. */
  bus: z.enum(BUSES).optional(),
  /** Of disks. Absent: write-back. */
  cache: z.enum(CACHES).optional(),
})
export type Drive = z.output<typeof driveSchema>

export const NIC_MODELS = ['virtio', 'e1000e', 'e1000', 'rtl8139', 'ne2k'] as const
export type NicModel = (typeof NIC_MODELS)[number]

/** `auto`: up where it is plugged into a network. `up` and `down`: as if by hand. */
export const LINKS = ['auto', 'up', 'down'] as const

export const nicSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]{1,32}$/),
  model: z.enum(NIC_MODELS).default('virtio'),
  mac: macSchema,
  link: z.enum(LINKS).default('auto'),
  /** The network that it is plugged into; null: none. */
  network: networkNameSchema.nullable().default(null),
})
export type Nic = z.output<typeof nicSchema>

/** Whether its guest sees a cable that is plugged in. */
export function linksUp({ link, network }: Pick<Nic, 'link' | 'network'>): boolean {
  return link === 'up' || (link === 'auto' && network !== null)
}

/** A folder of this computer that the guest mounts by its tag (9p). Nothing is shared that does not stand here. */
export const sharedFolderSchema = z.strictObject({
  tag: z
    .string()
    .max(MAX_TAG, `A shared folder’s tag has at most ${MAX_TAG} characters.`)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'A shared folder’s tag has letters, digits, full stops, hyphens and underscores only.'),
  path: z.string().min(1, 'Choose a folder.').pipe(filePathSchema.refine(isAbsolutePath, 'A shared folder needs its full path.')),
  readOnly: z.boolean().default(true),
})
export type SharedFolder = z.output<typeof sharedFolderSchema>

export const sharedFoldersSchema = z
  .array(sharedFolderSchema)
  .max(MAX_SHARED_FOLDERS, `A machine has at most ${MAX_SHARED_FOLDERS} shared folders.`)
  .superRefine((folders, context) =>
    unique(folders, 'tag', (at) =>
      context.addIssue({ code: 'custom', path: [at, 'tag'], message: 'Two shared folders have the same tag.' }),
    ),
  )

export const bootSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('kernel'),
    kernel: filePathSchema,
    initrd: filePathSchema.nullable().default(null),
    cmdline: z.string().max(2047, 'The kernel’s command line is longer than 2,047 characters.').default(''),
  }),
  z.strictObject({
    kind: z.literal('firmware'),
    /** Tried in this order. */
    order: z
      .array(z.enum(['disk', 'cdrom', 'floppy']))
      .min(1)
      .max(3)
      .default(['disk', 'cdrom', 'floppy']),
  }),
])
export type Boot = z.output<typeof bootSchema>

export const memoryMiBSchema = z
  .number({ error: 'Memory must be a number of MiB.' })
  .int('Memory must be a whole number of MiB.')
  .min(MEMORY_MIB.min, {
    error: (issue) => `${String(issue.input)} MiB is too little memory. Give the machine at least ${MEMORY_MIB.min} MiB.`,
  })
  .max(MEMORY_MIB.max, {
    error: (issue) => `${String(issue.input)} MiB is more memory than any machine can have. The most is ${MEMORY_MIB.max} MiB.`,
  })

/** `tablet`: the pointer is where the user's is. `mouse`: it moves as a mouse does, for systems that know no tablet. */
export const POINTERS = ['tablet', 'mouse'] as const

export const cpusSchema = z
  .number({ error: 'Processors must be a number.' })
  .int('Processors must be a whole number.')
  .min(CPUS.min, 'A machine has at least one processor.')
  .max(CPUS.max, `A machine has at most ${CPUS.max} processors.`)

/** The words of fields with a few. */
export const CONFIG_WORDS = {
  firmware: ['bios', 'uefi', 'uefi-secure'],
  devices: ['auto', 'modern', 'legacy'],
  display: ['auto', 'vga', 'virtio', 'none'],
} as const

const configShape = {
  name: nameSchema,
  engine: z.enum(ENGINES).default('auto'),
  arch: z.enum(ARCHES).default('i386'),
  cpus: cpusSchema.default(CPUS.default),
  memoryMiB: memoryMiBSchema.default(MEMORY_MIB.default),
  /** For PCs; aarch64 and riscv64 always have UEFI. */
  firmware: z.enum(CONFIG_WORDS.firmware).default('bios'),
  /** A TPM 2.0. */
  tpm: z.boolean().default(false),
  /** `auto` and `modern`: virtio. `legacy`: what systems know that were made before it. */
  devices: z.enum(CONFIG_WORDS.devices).default('auto'),
  display: z.enum(CONFIG_WORDS.display).default('auto'),
  pointer: z.enum(POINTERS).default('tablet'),
  boot: bootSchema,
  drives: z.array(driveSchema).max(MAX_DRIVES, `A machine has at most ${MAX_DRIVES} drives.`).default([]),
  nics: z.array(nicSchema).max(MAX_NICS, `A machine has at most ${MAX_NICS} network cards.`).default([]),
  serialPorts: z
    .number()
    .int()
    .min(SERIAL_PORTS.min, 'A machine has at least one serial port.')
    .max(SERIAL_PORTS.max, `A machine has at most ${SERIAL_PORTS.max} serial ports.`)
    .default(1),
  sharedFolders: sharedFoldersSchema.default([]),
  /** Its screen for VNC viewers on this computer, while it runs. */
  vncExport: vncExportSchema.default(NO_VNC_EXPORT),
  autoSnapshots: snapshotScheduleSchema.default(NO_SCHEDULE),
  whenOff: whenOffSchema.default(KEEP_WHEN_OFF),
  /** Others are made from it; it does not start, and its hardware stays as it is. */
  template: z.boolean().default(false),
  /** What its network cards send and receive is not kept. */
  private: z.boolean().default(false),
  /** The library folder it is shown in, as path elements. */
  folder: z.array(nameSchema).max(8).default([]),
  tags: z.array(z.string().trim().min(1).max(50)).max(50).default([]),
  notes: z.string().max(MAX_NOTES, 'The notes are longer than 64 KiB.').default(''),
}

export const machineConfigSchema = z
  .strictObject({
    schema: z.literal(MACHINE_SCHEMA),
    id: z.uuid(),
    created: z.iso.datetime(),
    /** The catalogue's name of the system it was made with, for its icon and advice: "coppice-linux". */
    guest: z.string().max(64).nullable().default(null),
    /** The snapshot that its present state came from; null: as it was made. `otherwise`: which one it was before, should taking that one not have ended. */
    point: z.strictObject({ snapshot: z.uuid(), otherwise: z.uuid().nullable() }).nullable().default(null),
    /** Null: what it does is kept. */
    run: runSchema.nullable().default(null),
    ...configShape,
  })
  .superRefine((config, context) => {
    unique(config.drives, 'id', (at) =>
      context.addIssue({ code: 'custom', path: ['drives', at, 'id'], message: 'Two drives have the same id.' }),
    )
    unique(config.nics, 'id', (at) =>
      context.addIssue({ code: 'custom', path: ['nics', at, 'id'], message: 'Two network cards have the same id.' }),
    )
    unique(config.nics, 'mac', (at) =>
      context.addIssue({ code: 'custom', path: ['nics', at, 'mac'], message: 'Two network cards have the same MAC address.' }),
    )
    config.drives.forEach((drive, at) => {
      if (drive.kind === 'disk' && drive.path === null)
        context.addIssue({ code: 'custom', path: ['drives', at, 'path'], message: 'A disk needs an image file.' })
      if (drive.kind === 'disk') return
      if (drive.path !== null && isNetworkAddress(drive.path))
        context.addIssue({ code: 'custom', path: ['drives', at, 'path'], message: 'Only disks can be on the network. Choose a file.' })
      for (const field of ['bus', 'cache'] as const)
        if (drive[field] !== undefined)
          context.addIssue({ code: 'custom', path: ['drives', at, field], message: 'Only disks have this choice. Leave it to Coppice.' })
    })
  })
export type MachineConfig = z.output<typeof machineConfigSchema>

/** What `machines.update` may change. Every field is optional; absent ones stay. */
export const machinePatchSchema = patchSchema(configShape)
export type MachinePatch = z.output<typeof machinePatchSchema>

function unique<T>(items: readonly T[], key: keyof T, report: (at: number) => void): void {
  const seen = new Set<unknown>()
  items.forEach((item, at) => {
    if (seen.has(item[key])) report(at)
    seen.add(item[key])
  })
}

/** @throws AppError `corrupt` (what and where), or `newer-version` */
export function parseMachineConfig(json: unknown): MachineConfig {
  const version = typeof json === 'object' && json !== null ? (json as { schema?: unknown }).schema : undefined
  if (typeof version === 'number' && version > MACHINE_SCHEMA)
    throw new AppError(
      'newer-version',
      `This machine was saved by a newer Coppice (format ${version}; this one reads up to ${MACHINE_SCHEMA}). Update Coppice to open it.`,
    )
  const parsed = machineConfigSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const fields = fieldErrors(parsed.error)
  const first = fields[0]!
  throw new AppError('corrupt', `machine.json is not valid: ${first.path === '' ? '' : `${first.path}: `}${first.message}`, { fields })
}
