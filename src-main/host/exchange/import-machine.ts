/** A machine of ours from another product's description: what is kept, what becomes something like it, and every loss as a sentence. */
import { busOf, type Bus } from '../../../src-shared/model/disk-bus.ts'
import {
  CPUS,
  isPc,
  MAX_DRIVES,
  MAX_NICS,
  MAX_NOTES,
  MEMORY_MIB,
  SERIAL_PORTS,
  type Drive,
  type MachineConfig,
  type Nic,
  type NicModel,
} from '../../../src-shared/model/machine.ts'
import { randomMac } from '../../../src-shared/model/mac.ts'
import { DEFAULT_NETWORK } from '../../../src-shared/model/network.ts'
import { MAX_NAME_LENGTH, nameProblem } from '../../../src-shared/model/names.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { ForeignDrive, ForeignMachine, ForeignNic, ForeignNicModel } from './foreign-machine.ts'
import { shown } from './text/remarks.ts'

/** For descriptions that do not say. */
const USUAL_MEMORY_MIB = 1024

/** A drive of the new machine; its image is still to be made of what `source` says, and goes into the config's `path` and `format`. */
export interface DraftDrive {
  id: string
  kind: Drive['kind']
  readOnly: boolean
  /** Of disks that are not on what the machine's devices have. */
  bus?: Bus
  /** `file` null: an empty drive, or a new empty disk of `capacity` bytes. */
  source: ForeignDrive
}

type DraftField =
  | ('name' | 'notes' | 'engine' | 'arch' | 'cpus' | 'memoryMiB' | 'firmware' | 'tpm')
  | ('devices' | 'display' | 'pointer' | 'boot' | 'nics' | 'serialPorts')

export interface MachineDraft {
  /** What a configuration says of hardware, without drives; the schema has defaults for the rest. The name may be another machine's already. */
  config: Pick<MachineConfig, DraftField>
  drives: DraftDrive[]
  /** What is not as it was, as sentences for people. */
  losses: string[]
}

/** What of this library a machine that comes must fit to. */
export interface Here {
  /** Addresses of other machines' network cards: a card with one of them gets a new one. */
  macs: ReadonlySet<string>
  hasNetwork(name: string): boolean
}

/** @param newMac makes an address */
export function draftMachine(foreign: ForeignMachine, here: Here, newMac: () => string = randomMac): MachineDraft {
  const losses = new Set(foreign.unknown)
  const arch = foreign.arch ?? 'x86_64'
  const pc = isPc(arch)
  const devices = devicesFor(foreign, pc)
  const name = nameFrom(foreign.name)
  if (name !== foreign.name && foreign.name !== '') losses.add(`Its name “${shown(foreign.name)}” is written “${name}” here.`)
  const drives = chooseDrives(foreign.drives, losses).map((drive) => ({ ...drive, ...ownBus(drive.source, devices, pc) }))
  busLosses(drives, devices, pc && foreign.firmware === 'bios', losses)
  if (foreign.tpm) losses.add('What its TPM keeps, such as keys of encrypted disks: left out. Have recovery keys at hand.')
  return {
    config: {
      name,
      engine: 'auto',
      arch,
      cpus: within(foreign.cpus ?? CPUS.default, CPUS, 'processors', losses),
      memoryMiB: within(memoryOf(foreign, losses), MEMORY_MIB, 'MiB of memory', losses),
      // Others always have UEFI.
      firmware: pc ? foreign.firmware : 'bios',
      tpm: foreign.tpm,
      devices,
      display: foreign.display ?? 'auto',
      pointer: foreign.guest.family === 'dos' ? 'mouse' : 'tablet',
      boot: { kind: 'firmware', order: bootOrder(foreign.drives) },
      nics: takeNics(foreign.nics, devices === 'legacy', { here, newMac }, losses),
      serialPorts: within(Math.max(foreign.serialPorts, SERIAL_PORTS.min), SERIAL_PORTS, 'serial ports', losses),
      notes: notesFrom(foreign.notes, losses),
    },
    drives,
    losses: [...losses],
  }
}

/** Systems that were not on virtio may have no driver for it: they get what every system knows. */
function devicesFor({ drives, guest }: ForeignMachine, pc: boolean): MachineConfig['devices'] {
  if (!pc) return 'auto'
  const disks = drives.filter(({ kind }) => kind === 'disk')
  if (disks.some(({ controller }) => controller === 'virtio')) return 'modern'
  return disks.length === 0 && guest.family !== 'dos' ? 'auto' : 'legacy'
}

const RESERVED = /[<>:"/\\|?*\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu

/** A name that machines can have, as near to the wish as possible. */
function nameFrom(wish: string): string {
  let name = [
    ...wish
      .toWellFormed()
      .replace(RESERVED, '-')
      .trim()
      .replace(/^[.\s]+/, ''),
  ]
    .slice(0, MAX_NAME_LENGTH)
    .join('')
  // Bytes are what file systems count: a quarter goes at a time.
  while (utf8(name).length > 240) name = [...name].slice(0, -Math.ceil([...name].length / 4)).join('')
  name = name.replace(/[.\s]+$/, '')
  if (nameProblem(name) === null) return name
  return nameProblem(`${name} machine`) === null ? `${name} machine` : 'Imported machine'
}

function within(count: number, range: { min: number; max: number }, things: string, losses: Set<string>): number {
  const kept = Math.min(Math.max(Math.floor(count), range.min), range.max)
  if (kept !== count) losses.add(`It had ${count} ${things} and has ${kept} here.`)
  return kept
}

function memoryOf({ memoryMiB }: ForeignMachine, losses: Set<string>): number {
  if (memoryMiB !== null) return memoryMiB
  losses.add(`How much memory it needs is not said. It gets ${USUAL_MEMORY_MIB} MiB.`)
  return USUAL_MEMORY_MIB
}

function notesFrom(notes: string, losses: Set<string>): string {
  if (notes.length <= MAX_NOTES) return notes
  losses.add(`Its notes are cut after ${MAX_NOTES} characters.`)
  return notes.slice(0, MAX_NOTES).toWellFormed()
}

/** Kinds in the order of their first drive; the others after them. */
function bootOrder(drives: readonly ForeignDrive[]): ('disk' | 'cdrom' | 'floppy')[] {
  const place = (kind: ForeignDrive['kind']): number =>
    Math.min(...drives.flatMap((drive) => (drive.kind === kind && drive.bootOrder !== null ? [drive.bootOrder] : [])))
  // Without a place: Infinity, and the difference of two of them is no number.
  return (['disk', 'cdrom', 'floppy'] as const).toSorted((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)))
}

const KIND_NAMES = { disk: 'Disk', cdrom: 'CD drive', floppy: 'Floppy drive' } as const
/** Where there are too many: disks are wanted most. Full drives before empty ones. */
const WANTED = { disk: 0, cdrom: 1, floppy: 2 } as const

function chooseDrives(drives: readonly ForeignDrive[], losses: Set<string>): DraftDrive[] {
  const wanted = drives.toSorted((a, b) => WANTED[a.kind] - WANTED[b.kind] || Number(a.file === null) - Number(b.file === null))
  const kept = new Set(wanted.slice(0, MAX_DRIVES))
  for (const drive of drives)
    if (!kept.has(drive))
      losses.add(`${KIND_NAMES[drive.kind]} “${shown(drive.file ?? 'empty')}”: left out. A machine has at most ${MAX_DRIVES} drives here.`)
  return drives
    .filter((drive) => kept.has(drive))
    .map((source, at) => ({
      id: `drive${at}`,
      kind: source.kind,
      readOnly: source.readOnly || (source.kind === 'cdrom' && source.file !== null),
      source,
    }))
}

/** What has a counterpart here; IDE and SATA only in PCs. SCSI has none. */
const BUSES: Partial<Record<NonNullable<ForeignDrive['controller']>, Bus>> = {
  ...{ ide: 'ata', sata: 'ata', nvme: 'nvme', usb: 'usb', virtio: 'virtio' },
}

function ownBus({ kind, controller }: ForeignDrive, devices: MachineConfig['devices'], pc: boolean): { bus?: Bus } {
  const bus = kind === 'disk' && controller !== null ? BUSES[controller] : undefined
  return bus === undefined || (bus === 'ata' && !pc) || bus === usualBus(devices) ? {} : { bus }
}

function usualBus(devices: MachineConfig['devices']): Bus {
  return busOf({}, devices === 'legacy' ? 'legacy' : 'modern')
}

const BUS_NAMES: Record<NonNullable<ForeignDrive['controller']>, string> = {
  ...{ ide: 'IDE', sata: 'SATA', scsi: 'SCSI', nvme: 'NVMe', usb: 'USB', virtio: 'virtio', floppy: 'a floppy controller' },
}

function busLosses(drives: readonly DraftDrive[], devices: MachineConfig['devices'], bios: boolean, losses: Set<string>): void {
  for (const { kind, bus, source } of drives) {
    if (kind !== 'disk' || source.controller === null) continue
    const here = bus ?? usualBus(devices)
    const name = here === 'ata' ? (bios ? 'ide' : 'sata') : here
    if (source.controller !== name)
      losses.add(
        `Disks on ${BUS_NAMES[source.controller]} are on ${BUS_NAMES[name]} here. A system without a driver for it does not start.`,
      )
  }
}

const NIC_MODELS: Record<ForeignNicModel, NicModel> = {
  ...{ virtio: 'virtio', e1000: 'e1000', e1000e: 'e1000e', rtl8139: 'rtl8139', ne2k: 'ne2k' },
  ...{ pcnet: 'rtl8139', vmxnet: 'e1000', vmxnet3: 'e1000e', other: 'e1000' },
}
const NIC_NAMES: Partial<Record<ForeignNicModel, string>> = {
  ...{ pcnet: 'AMD PCnet', vmxnet: 'VMware VMXNET', vmxnet3: 'VMware VMXNET3', other: 'a model unknown here' },
}

function takeNics(
  nics: readonly ForeignNic[],
  legacy: boolean,
  { here, newMac }: { here: Here; newMac: () => string },
  losses: Set<string>,
): Nic[] {
  if (nics.length > MAX_NICS) losses.add(`It had ${nics.length} network cards and has the first ${MAX_NICS} of them here.`)
  const kept = nics.slice(0, MAX_NICS)
  networkLosses(kept, here, losses)
  const taken = here.macs
  const used = new Set<string>()
  return kept.map((nic, at) => {
    const model = nic.model === null ? (legacy ? 'e1000' : 'virtio') : NIC_MODELS[nic.model]
    const name = nic.model === null ? undefined : NIC_NAMES[nic.model]
    if (name !== undefined) losses.add(`Network card ${at + 1} (${name}): is a ${model} here.`)
    if (nic.mac !== null && taken.has(nic.mac))
      losses.add(`Network card ${at + 1} gets a new MAC address: ${nic.mac} is another machine’s.`)
    let mac = nic.mac
    while (mac === null || taken.has(mac) || used.has(mac)) mac = newMac()
    used.add(mac)
    const network = sameNetwork(nic, here)
    return {
      ...{ id: `nic${at}`, model, mac },
      ...(nic.connected ? { link: 'auto', network: network ?? DEFAULT_NETWORK } : { link: 'down', network }),
    }
  })
}

/** The network of the card's network's name, which is written in small letters here. Null: there is none. */
function sameNetwork({ network }: ForeignNic, { hasNetwork }: Here): string | null {
  const name = network?.toLowerCase() ?? null
  return name !== null && hasNetwork(name) ? name : null
}

function networkLosses(nics: readonly ForeignNic[], here: Here, losses: Set<string>): void {
  const list = (names: (string | null)[]): string => shown([...new Set(names.filter((name) => name !== null))].join(', '))
  const found = nics.filter((nic) => sameNetwork(nic, here) !== null)
  // Where everything goes by itself need not be said.
  const named = list(found.map((nic) => sameNetwork(nic, here)).filter((name) => name !== DEFAULT_NETWORK))
  if (named !== '') losses.add(`Its network cards are plugged into this library’s networks of the same names: ${named}.`)
  const missing = list(nics.flatMap((nic) => (found.includes(nic) || !nic.connected ? [] : nic.network)))
  if (missing !== '')
    losses.add(`There is no network of these names here: ${missing}. Network cards that were in one are plugged into “${DEFAULT_NETWORK}”.`)
}
