/** The devices of a machine from its hardware items (hardware-items.ts) and the descriptor's disks (envelope.ts). */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { MiB } from '../../../../src-shared/base/units.ts'
import { imageFormat, nicModel } from '../device-names.ts'
import {
  checkCount,
  emptyDrive,
  MAX_FOREIGN_DRIVES,
  MAX_FOREIGN_NICS,
  shortText,
  type DriveController,
  type ForeignDrive,
  type ForeignNic,
} from '../foreign-machine.ts'
import { macOf } from '../text/counts.ts'
import { shown, type Remarks } from '../text/remarks.ts'
import { sizeInBytes } from './allocation-units.ts'
import { MAX_DISK_CHAIN, type OvfDisk, type OvfFile } from './envelope.ts'
import { RESOURCE, type HardwareItem } from './hardware-items.ts'

export interface SystemDevices {
  cpus: number | null
  memoryMiB: number | null
  drives: ForeignDrive[]
  nics: ForeignNic[]
  serialPorts: number
  tpm: boolean
}

export interface DescriptorFiles {
  files: ReadonlyMap<string, OvfFile>
  disks: ReadonlyMap<string, OvfDisk>
}

/** @throws AppError `corrupt` for a drive whose disk is not described, `unsupported` past a limit */
export function readDevices(items: readonly HardwareItem[], descriptor: DescriptorFiles, remarks: Remarks, what: string): SystemDevices {
  const of = (...types: number[]): HardwareItem[] => items.filter(({ type }) => type !== null && types.includes(type))
  const processors = of(RESOURCE.processor).map((item) => item.quantity)
  const memories = of(RESOURCE.memory).map((item) => sizeInBytes(item.quantity, item.units, MiB))
  const cards = of(RESOURCE.ethernet)
  checkCount(cards.length, MAX_FOREIGN_NICS, 'network cards', what)
  listUnknown(items, remarks)
  return {
    cpus: total(processors),
    memoryMiB: wholeMiB(total(memories)),
    drives: readDrives(items, descriptor, remarks, what),
    nics: cards.map((item) => ({
      model: cardModel(item.subType),
      mac: macOf(item.address),
      network: item.connection === null ? null : shortText(item.connection) || null,
      connected: item.automatic,
    })),
    serialPorts: of(RESOURCE.serial).length,
    tpm: items.some(({ subType }) => subType === 'vmware.vtpm'),
  }
}

/** Of several subtypes any will do (DSP0243 1.1, section 8.3: a list with spaces between): the one that is best here, else the first known. */
function cardModel(subTypes: string): ForeignNic['model'] {
  const models = subTypes.split(/\s+/).flatMap((name) => nicModel(name) ?? [])
  return models.find((model) => model === 'virtio') ?? models.find((model) => model !== 'other') ?? models[0] ?? null
}

/** Null where none is said, or one of them is no number. */
function total(counts: readonly (number | null)[]): number | null {
  return counts.reduce<number | null>((sum, count) => (sum === null || count === null ? null : sum + count), counts.length === 0 ? null : 0)
}

function wholeMiB(bytes: number | null): number | null {
  return bytes === null ? null : Math.ceil(bytes / MiB)
}

const DRIVE_KINDS: ReadonlyMap<number, ForeignDrive['kind']> = new Map([
  [RESOURCE.disk, 'disk'],
  [RESOURCE.logicalDisk, 'disk'],
  [RESOURCE.cd, 'cdrom'],
  [RESOURCE.dvd, 'cdrom'],
  [RESOURCE.floppy, 'floppy'],
])

function readDrives(items: readonly HardwareItem[], descriptor: DescriptorFiles, remarks: Remarks, what: string): ForeignDrive[] {
  const controllers = new Map(items.map((item) => [item.id, item]))
  const found = items.flatMap((item) => {
    const kind = item.type === null ? undefined : DRIVE_KINDS.get(item.type)
    return kind === undefined ? [] : [{ item, kind, parent: item.parent === null ? undefined : controllers.get(item.parent) }]
  })
  checkCount(found.length, MAX_FOREIGN_DRIVES, 'drives', what)
  // As their controllers have them; controllers as the descriptor has them.
  const rank = (one: (typeof found)[number]): number => one.parent?.index ?? items.length
  return found
    .sort((a, b) => rank(a) - rank(b) || a.item.addressOnParent - b.item.addressOnParent || a.item.index - b.item.index)
    .flatMap(({ item, kind, parent }) => {
      const controller = kind === 'floppy' ? ({ controller: 'floppy', controllerModel: null } as const) : controllerOf(parent)
      return withImage({ ...emptyDrive(kind), ...controller }, item, descriptor, remarks, what) ?? []
    })
}

function controllerOf(item: HardwareItem | undefined): Pick<ForeignDrive, 'controller' | 'controllerModel'> {
  const controllerModel = item === undefined || item.subType === '' ? null : shortText(item.subType)
  return { controller: busOf(item?.type ?? null, item?.subType ?? ''), controllerModel }
}

/** The subtypes are VirtualBox's and VMware's, perhaps several of them. */
function busOf(type: number | null, subType: string): DriveController | null {
  if (/virtio/.test(subType)) return 'virtio'
  switch (type) {
    case RESOURCE.ide:
      return 'ide'
    case RESOURCE.scsi:
    case RESOURCE.fibreChannel:
    case RESOURCE.iscsi:
      return 'scsi'
    case RESOURCE.usb:
      return 'usb'
    case RESOURCE.otherStorage:
      return /nvme/.test(subType) ? 'nvme' : /ahci|sata/.test(subType) ? 'sata' : null
    default:
      return null
  }
}

/** The drive with what is in it; null for a disk that nothing is known of. */
function withImage(
  drive: ForeignDrive,
  item: HardwareItem,
  { files, disks }: DescriptorFiles,
  remarks: Remarks,
  what: string,
): ForeignDrive | null {
  const part = `${drive.kind === 'disk' ? 'Disk' : drive.kind === 'cdrom' ? 'CD' : 'Floppy'} “${shown(item.title)}”`
  const lost = drive.kind === 'disk' ? null : drive
  const none = (why: string): ForeignDrive | null => {
    remarks.leftOut(`${part}, ${why}`)
    return lost
  }
  if (item.hostResource === null || item.hostResource === '') return drive.kind === 'disk' ? none('which has no image') : drive
  // DSP0243 1.1, section 8.3: "ovf:/disk/id" or "ovf:/file/id"; older writers have "/disk/id", "disk/id" and "ovf://disk/id".
  const [, list, id] = /^(?:ovf:)?\/{0,2}(disk|file)\/(.+)$/.exec(item.hostResource) ?? []
  if (list === undefined || id === undefined) return none(`whose image is not in the package (${shown(item.hostResource)})`)
  const dangling = (): AppError => new AppError('corrupt', `${what}: ${part} refers to an image that is not described.`, { subject: what })
  if (list === 'file') {
    const file = files.get(id)
    if (file === undefined) throw dangling()
    if (file.name === null) return none('whose file is outside of the package')
    return { ...drive, file: file.name, format: imageFormat(null, file.name), compression: file.compression }
  }
  const disk = disks.get(id)
  if (disk === undefined) throw dangling()
  const chain = chainOf(disk, disks, what)
  const names = chain.flatMap((one) => (one.file === null ? [] : [one.file.name]))
  if (names.some((name) => name === null)) return none('whose file is outside of the package')
  const [file, ...parents] = names.filter((name) => name !== null)
  if (file === undefined && disk.capacity === null) return none('which has neither an image nor a size')
  return {
    ...drive,
    ...{ file: file ?? null, parents, capacity: disk.capacity },
    format: file === undefined ? null : disk.format,
    compression: disk.file?.compression ?? null,
  }
}

/** A disk and those that it rests on, the nearest first (ovf:parentRef, DSP0243 1.1, section 9.1). */
function chainOf(disk: OvfDisk, disks: ReadonlyMap<string, OvfDisk>, what: string): OvfDisk[] {
  const chain = [disk]
  for (let parent = disk.parent; parent !== null; parent = chain.at(-1)!.parent) {
    const one = disks.get(parent)
    if (one === undefined || chain.length >= MAX_DISK_CHAIN || chain.includes(one))
      throw new AppError('corrupt', `${what} has a disk that rests on one that is not described, or on itself.`, { subject: what })
    chain.push(one)
  }
  return chain
}

const OTHER_PARTS: ReadonlyMap<number, string> = new Map([
  [RESOURCE.otherNetwork, 'Network device'],
  [RESOURCE.tape, 'Tape drive'],
  [RESOURCE.parallel, 'Parallel port'],
  [RESOURCE.firewire, 'FireWire controller'],
  [RESOURCE.sound, 'Sound card'],
])
/** Types that are read, or that every machine here has its own of. */
const SILENT: ReadonlySet<number> = new Set([
  ...[RESOURCE.processor, RESOURCE.memory, RESOURCE.ide, RESOURCE.scsi, RESOURCE.fibreChannel, RESOURCE.iscsi, RESOURCE.ethernet],
  ...[RESOURCE.serial, RESOURCE.usb, RESOURCE.graphics, RESOURCE.otherStorage, ...DRIVE_KINDS.keys()],
])
/** VMware's channel between guest and host, and its keyboard and mouse. */
const SILENT_SUBTYPE = /^vmware\.(vmci|vtpm|keyboard|pointingdevice)/

function listUnknown(items: readonly HardwareItem[], remarks: Remarks): void {
  for (const { type, subType, title } of items) {
    if ((type !== null && SILENT.has(type)) || SILENT_SUBTYPE.test(subType)) continue
    const kind = /sound/.test(subType)
      ? 'Sound card'
      : ((type === null ? undefined : OTHER_PARTS.get(type)) ?? `Device of type ${type ?? 'unknown'}`)
    const name = shown(subType === '' ? title : subType)
    remarks.leftOut(name === '' ? kind : `${kind} (${name})`)
  }
}
