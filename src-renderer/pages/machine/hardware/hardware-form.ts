/**
 * The hardware of a machine as a form holds it, and what it becomes. Pure. Both ways to boot are kept while the form is open, so that
 * choosing the other and coming back loses nothing.
 */
import { fieldErrors } from '../../../../src-shared/errors/field-errors.ts'
import {
  machineConfigSchema,
  MAX_DRIVES,
  MAX_NICS,
  type Drive,
  type MachineConfig,
  type MachinePatch,
  type Nic,
  type SharedFolder,
} from '../../../../src-shared/model/machine.ts'
import { DEFAULT_NETWORK } from '../../../../src-shared/model/network.ts'
import { randomMac } from '../../../../src-shared/model/mac.ts'

export type BootDevice = Drive['kind']

export interface FormDrive extends Omit<Drive, 'path'> {
  /** '' is an empty drive. */
  path: string
}

/** Fields that the form holds as the config does. */
const PLAIN = ['engine', 'arch', 'cpus', 'firmware', 'tpm', 'devices', 'display', 'pointer', 'serialPorts'] as const
type Plain = (typeof PLAIN)[number]

export interface HardwareForm extends Pick<MachineConfig, Plain> {
  /** NaN while the field holds no number. */
  memoryMiB: number
  bootKind: 'kernel' | 'firmware'
  kernel: string
  initrd: string
  cmdline: string
  order: BootDevice[]
  drives: FormDrive[]
  nics: Nic[]
  sharedFolders: SharedFolder[]
}

/** Usual when nothing else was chosen: a CD is there to be installed from. */
const USUAL_ORDER: BootDevice[] = ['cdrom', 'disk', 'floppy']

export function formOf(config: MachineConfig): HardwareForm {
  const { boot } = config
  const kernel = boot.kind === 'kernel' ? boot : { kernel: '', initrd: null, cmdline: 'console=ttyS0' }
  return {
    ...plainOf(config),
    memoryMiB: config.memoryMiB,
    bootKind: boot.kind,
    kernel: kernel.kernel,
    initrd: kernel.initrd ?? '',
    cmdline: kernel.cmdline,
    order: boot.kind === 'firmware' ? [...boot.order] : [...USUAL_ORDER],
    drives: config.drives.map((drive) => ({ ...drive, path: drive.path ?? '' })),
    nics: config.nics.map((nic) => ({ ...nic })),
    sharedFolders: config.sharedFolders.map((folder) => ({ ...folder })),
  }
}

/** The parts of a config that the form edits. */
export type Hardware = Required<Pick<MachineConfig, Plain | 'memoryMiB' | 'boot' | 'drives' | 'nics' | 'sharedFolders'>>

function plainOf(from: Pick<MachineConfig, Plain>): Pick<MachineConfig, Plain> {
  return Object.fromEntries(PLAIN.map((name) => [name, from[name]])) as Pick<MachineConfig, Plain>
}

export function hardwareOf(form: HardwareForm): Hardware {
  return {
    ...plainOf(form),
    memoryMiB: form.memoryMiB,
    boot:
      form.bootKind === 'kernel'
        ? {
            kind: 'kernel',
            kernel: form.kernel.trim(),
            initrd: form.initrd.trim() === '' ? null : form.initrd.trim(),
            cmdline: form.cmdline,
          }
        : { kind: 'firmware', order: [...form.order] },
    drives: form.drives.map(({ limits, ...drive }) => ({
      ...drive,
      limits: limits && { ...limits },
      path: drive.path.trim() === '' ? null : drive.path.trim(),
    })),
    nics: form.nics.map((nic) => ({ ...nic, mac: nic.mac.trim().toLowerCase() })),
    sharedFolders: form.sharedFolders.map(({ tag, path, readOnly }) => ({ tag: tag.trim(), path: path.trim(), readOnly })),
  }
}

/** What differs from `config`, whole members only; empty when nothing does. */
export function patchOf(form: HardwareForm, config: MachineConfig): MachinePatch {
  const changed = Object.entries(hardwareOf(form)).filter(([name, value]) => !same(value, config[name as keyof Hardware]))
  return Object.fromEntries(changed) as MachinePatch
}

/** Members come from schemas and from `hardwareOf`, always with the same keys; their order is not always the same. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b)
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  )
}

/** The first complaint at each field, by its path in the config; empty when the host would take it. */
export function formErrors(form: HardwareForm, config: MachineConfig): Record<string, string> {
  const parsed = machineConfigSchema.safeParse({ ...config, ...hardwareOf(form) })
  const errors: Record<string, string> = {}
  if (!parsed.success) for (const field of fieldErrors(parsed.error)) errors[field.path] ??= field.message
  return errors
}

/** A part of the machine that is chosen at the left and edited at the right. */
export type DeviceKey = 'memory' | 'boot' | 'serial' | 'engine' | 'shares' | `drive:${string}` | `nic:${string}`

/** The device that a field belongs to, by the field's path in the config ("drives.0.path"); null for fields of no device. */
export function deviceOfField(path: string, form: HardwareForm): DeviceKey | null {
  const [member, at] = path.split('.')
  switch (member) {
    case 'memoryMiB':
      return 'memory'
    case 'boot':
      return 'boot'
    case 'serialPorts':
      return 'serial'
    case 'engine':
    case 'arch':
    case 'cpus':
    case 'firmware':
    case 'tpm':
    case 'devices':
    case 'display':
    case 'pointer':
      return 'engine'
    case 'sharedFolders':
      return 'shares'
    case 'drives': {
      const drive = form.drives[Number(at)]
      return drive ? `drive:${drive.id}` : null
    }
    case 'nics': {
      const nic = form.nics[Number(at)]
      return nic ? `nic:${nic.id}` : null
    }
    default:
      return null
  }
}

export type NewDevice = Drive['kind'] | 'nic'

/** Why no more of it can be added, as a sentence; null where one can. */
export function whyNotAdd(device: NewDevice, form: HardwareForm): string | null {
  if (device === 'nic') return form.nics.length >= MAX_NICS ? `A machine has at most ${MAX_NICS} network cards.` : null
  if (form.drives.length >= MAX_DRIVES) return `A machine has at most ${MAX_DRIVES} drives.`
  return null
}

const ID_STEM: Record<NewDevice, string> = { disk: 'disk', cdrom: 'cd', floppy: 'floppy', nic: 'nic' }

/** Adds a device to the form. @returns its key */
export function addDevice(device: NewDevice, form: HardwareForm): DeviceKey {
  const taken = new Set([...form.drives, ...form.nics].map(({ id }) => id))
  let number = 0
  while (taken.has(`${ID_STEM[device]}${number}`)) number++
  const id = `${ID_STEM[device]}${number}`
  if (device === 'nic') {
    form.nics.push({ id, model: 'virtio', mac: randomMac(), link: 'auto', network: DEFAULT_NETWORK })
    return `nic:${id}`
  }
  form.drives.push({ id, kind: device, path: '', format: 'raw', readOnly: device === 'cdrom', limits: null })
  return `drive:${id}`
}

/** Adds a disk to the form. @param path a file, or an address on the network @returns its key */
export function addDisk(path: string, use: Pick<Drive, 'readOnly' | 'bus'>, form: HardwareForm): DeviceKey {
  const key = addDevice('disk', form)
  Object.assign(form.drives.at(-1)!, { path, ...use })
  return key
}

/** One place earlier (-1) or later (1) among the drives of its kind: of one kind, the first is booted from. */
export function moveDrive(id: string, by: -1 | 1, form: HardwareForm): void {
  const at = form.drives.findIndex((drive) => drive.id === id)
  const other = neighbour(at, by, form)
  if (other < 0) return
  const drives = [...form.drives]
  ;[drives[at], drives[other]] = [drives[other]!, drives[at]!]
  form.drives = drives
}

export function canMoveDrive(id: string, by: -1 | 1, form: HardwareForm): boolean {
  return (
    neighbour(
      form.drives.findIndex((drive) => drive.id === id),
      by,
      form,
    ) >= 0
  )
}

/** -1: none. */
function neighbour(at: number, by: -1 | 1, { drives }: HardwareForm): number {
  for (let other = at + by; other >= 0 && other < drives.length; other += by) if (drives[other]!.kind === drives[at]?.kind) return other
  return -1
}

/** Takes a drive or a network card out of the form. */
export function removeDevice(key: DeviceKey, form: HardwareForm): void {
  form.drives = form.drives.filter(({ id }) => key !== `drive:${id}`)
  form.nics = form.nics.filter(({ id }) => key !== `nic:${id}`)
}

/** Shares one more folder, read-only, under a tag after its name that no other has. */
export function addSharedFolder(path: string, form: HardwareForm): void {
  const name = path.split(/[/\\]/).findLast((part) => part !== '') ?? ''
  const plain = name
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, LONGEST_STEM)
  const stem = plain.replace(/[^A-Za-z0-9]+$/, '') || 'share'
  const taken = new Set(form.sharedFolders.map(({ tag }) => tag))
  let tag = stem
  for (let number = 2; taken.has(tag); number++) tag = `${stem}-${number}`
  form.sharedFolders.push({ tag, path, readOnly: true })
}

/** Of a tag, with room for a number behind it. */
const LONGEST_STEM = 28

/** What a guest that runs loses by these changes, as questions are asked: "the disk data.img". Pure. */
export function takenAway(form: HardwareForm, config: MachineConfig): string[] {
  const kept = new Set([...form.drives, ...form.nics].map(({ id }) => id))
  const disks = config.drives.filter(({ id, kind }) => kind === 'disk' && !kept.has(id))
  return [
    ...disks.map(({ path }) => `the disk ${path?.split(/[/\\]/).at(-1) ?? ''}`),
    ...config.nics.filter(({ id }) => !kept.has(id)).map(({ mac }) => `the network card ${mac}`),
  ]
}

/** Images in the machine's folder of disks that no drive has any more. @param before the drives as they were */
export function leftImages(before: readonly Drive[], form: HardwareForm): string[] {
  const kept = new Set(form.drives.map(({ path }) => path))
  return before.flatMap(({ kind, path }) =>
    kind === 'disk' && path !== null && path.startsWith('disks/') && !kept.has(path) ? [path] : [],
  )
}
