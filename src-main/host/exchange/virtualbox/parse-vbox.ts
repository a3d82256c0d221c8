/**
 * VirtualBox's machine file (.vbox): settings XML in the namespace http://www.virtualbox.org/, versions 1.9 to 1.21 (VirtualBox 3 to 7).
 * Source: VirtualBox Main, xml/VirtualBox-settings.xsd. Only the current state is read; its disks may rest on those of snapshots.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { guestByName, imageFormat } from '../device-names.ts'
import {
  checkCount,
  emptyDrive,
  longText,
  MAX_FOREIGN_DRIVES,
  shortText,
  type DriveController,
  type ForeignDrive,
  type ForeignMachine,
} from '../foreign-machine.ts'
import { countOf } from '../text/counts.ts'
import { plainName } from '../text/file-reference.ts'
import { Remarks, shown } from '../text/remarks.ts'
import { attribute, child, childrenOf, childText, parseXml, type XmlElement } from '../xml/parse-xml.ts'
import { readHardware } from './machine-hardware.ts'
import { readMedia, uuidOf, type Medium } from './media-registry.ts'

/**
 * @param what the file, for sentences: "debian.vbox"
 * @throws AppError `corrupt` for what is no machine of VirtualBox; `unsupported` for one that is encrypted, and past a limit
 */
export function parseVbox(bytes: Uint8Array, what: string): ForeignMachine {
  const root = parseXml(bytes, what)
  if (child(root, 'MachineEncrypted') !== null || root.name === 'MachineEncrypted')
    throw new AppError('unsupported', `${what} is encrypted. Decrypt the machine in VirtualBox first.`, { subject: what })
  const machine = child(root, 'Machine')
  if (root.name !== 'VirtualBox' || machine === null)
    throw new AppError('corrupt', `${what} does not describe a machine of VirtualBox.`, { subject: what })
  const remarks = new Remarks()
  const hardware = readHardware(machine, remarks, what)
  const snapshots = countSnapshots(machine)
  if (snapshots > 0) remarks.add(`Snapshots (${snapshots}): only the current state is taken.`)
  if (attribute(machine, 'stateFile') !== null) remarks.add('The saved state of its memory: left out. The machine starts anew.')
  const drives = readDrives(machine, readMedia(machine, what), remarks, what).map((drive) => ({
    ...drive,
    bootOrder: hardware.bootPlace.get(drive.kind) ?? null,
  }))
  const { guest, arch } = guestByName(hardware.osType ?? '')
  return {
    name: shortText(attribute(machine, 'name') ?? ''),
    notes: longText(childText(machine, 'Description') ?? ''),
    guest,
    arch,
    firmware: hardware.firmware,
    tpm: hardware.tpm,
    cpus: hardware.cpus,
    memoryMiB: hardware.memoryMiB,
    drives,
    nics: hardware.nics,
    serialPorts: hardware.serialPorts,
    display: null,
    licences: [],
    unknown: remarks.list(),
  }
}

function countSnapshots(element: XmlElement): number {
  const inside = [...childrenOf(element, 'Snapshot'), ...childrenOf(child(element, 'Snapshots'), 'Snapshot')]
  return inside.reduce((sum, one) => sum + 1 + countSnapshots(one), 0)
}

/** By the type that VirtualBox's settings name; lower case. */
const CONTROLLERS: Readonly<Record<string, DriveController>> = {
  ...{ ahci: 'sata', intelahci: 'sata', piix3: 'ide', piix4: 'ide', ich6: 'ide', i82078: 'floppy', usb: 'usb', nvme: 'nvme' },
  ...{ lsilogic: 'scsi', buslogic: 'scsi', lsilogicsas: 'scsi', virtioscsi: 'virtio' },
}
const KINDS: Readonly<Record<string, ForeignDrive['kind']>> = { HardDisk: 'disk', DVD: 'cdrom', Floppy: 'floppy' }
const KIND_NAMES = { disk: 'Disk', cdrom: 'CD', floppy: 'Floppy' } as const

function readDrives(machine: XmlElement, media: ReadonlyMap<string, Medium>, remarks: Remarks, what: string): ForeignDrive[] {
  const drives: ForeignDrive[] = []
  // Before settings version 1.15 controllers stood beside <Hardware>.
  const controllers = [child(machine, 'StorageControllers'), child(child(machine, 'Hardware'), 'StorageControllers')].flatMap((list) =>
    childrenOf(list, 'StorageController'),
  )
  for (const controller of controllers) {
    const type = (attribute(controller, 'type') ?? '').toLowerCase()
    const devices = childrenOf(controller, 'AttachedDevice')
    checkCount(drives.length + devices.length, MAX_FOREIGN_DRIVES, 'drives', what)
    const place = (device: XmlElement): number =>
      (countOf(attribute(device, 'port')) ?? 0) * 16 + (countOf(attribute(device, 'device')) ?? 0)
    for (const device of devices.sort((a, b) => place(a) - place(b))) {
      const kindName = attribute(device, 'type') ?? ''
      if (!Object.hasOwn(KINDS, kindName)) {
        remarks.leftOut(`A device of ${shown(attribute(controller, 'name') ?? 'a controller')} (${shown(kindName)})`)
        continue
      }
      const at = {
        controller: Object.hasOwn(CONTROLLERS, type) ? CONTROLLERS[type]! : null,
        controllerModel: type === '' ? null : shortText(type),
      }
      const drive = withImage({ ...emptyDrive(KINDS[kindName]!), ...at }, device, media, remarks)
      if (drive !== null) drives.push(drive)
    }
  }
  return drives
}

/** The drive with its image in it; empty where that cannot be followed; null for a disk without one. */
function withImage(drive: ForeignDrive, device: XmlElement, media: ReadonlyMap<string, Medium>, remarks: Remarks): ForeignDrive | null {
  const name = KIND_NAMES[drive.kind]
  const lost = drive.kind === 'disk' ? null : drive
  const image = child(device, 'Image')
  if (child(device, 'HostDrive') !== null) remarks.add(`${name} drive of the host: the drive is empty here.`)
  if (image === null) return lost
  const medium = media.get(uuidOf(attribute(image, 'uuid')))
  if (medium === undefined) {
    remarks.leftOut(`${name} ${shown(attribute(image, 'uuid') ?? '')}, which the machine’s file does not list`)
    return lost
  }
  const chain: string[] = []
  for (let one: Medium | null = medium; one !== null; one = one.parent) {
    const file = plainName(one.location)
    if (one.encrypted) remarks.leftOut(`${name} “${shown(medium.location)}”, which is encrypted`)
    else if (file === null)
      remarks.leftOut(
        `${name} “${shown(medium.location)}”, which ${one === medium ? 'is' : 'rests on a file'} outside of the machine’s folder`,
      )
    if (one.encrypted || file === null) return lost
    chain.push(file)
  }
  const [file, ...parents] = chain
  const format = imageFormat(null, `.${medium.format ?? ''}`) ?? imageFormat(null, file!)
  return { ...drive, file: file!, parents, format, readOnly: medium.readOnly }
}
