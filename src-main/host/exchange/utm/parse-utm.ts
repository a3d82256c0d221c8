/**
 * UTM's machine file: config.plist in a folder name.utm, with the images in its folder Data. Source: UTM 4, UTMQemuConfiguration and its
 * parts (configuration version 4, backend QEMU). Older versions and Apple's own backend are refused.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { ARCHES, isPc } from '../../../../src-shared/model/machine.ts'
import { imageFormat, nicModel } from '../device-names.ts'
import {
  checkCount,
  emptyDrive,
  longText,
  MAX_FOREIGN_DRIVES,
  MAX_FOREIGN_NICS,
  shortText,
  type DriveController,
  type ForeignDrive,
  type ForeignMachine,
  type ForeignNic,
} from '../foreign-machine.ts'
import { macOf } from '../text/counts.ts'
import { plainName } from '../text/file-reference.ts'
import { Remarks, shown } from '../text/remarks.ts'
import { isDictionary, parsePlist, type PlistDictionary, type PlistValue } from './plist.ts'

const VERSION = 4
/** Where a bundle keeps its images. */
const IMAGES = 'Data'

/**
 * @param what the file, for sentences: "Debian.utm"
 * @throws AppError `corrupt`, or `unsupported` for another version, backend or processor, and past a limit
 */
export function parseUtm(bytes: Uint8Array, what: string): ForeignMachine {
  const root = parsePlist(bytes, what)
  const refuse = (is: string): AppError => new AppError('unsupported', `${what} ${is}`, { subject: what })
  if (!isDictionary(root)) throw new AppError('corrupt', `${what} does not describe a machine of UTM.`, { subject: what })
  const version = root.get('ConfigurationVersion')
  if (typeof version === 'number' && version < VERSION) throw refuse('is of an older UTM. Open it once with UTM 4, which converts it.')
  if (version !== VERSION) throw refuse(`has a form that is not known here (version ${shown(text(version))}).`)
  if (root.get('Backend') !== 'QEMU') throw refuse('uses Apple’s own virtualization. Its machines run nowhere else.')
  const remarks = new Remarks()
  const information = part(root, 'Information')
  const system = part(root, 'System')
  const qemu = part(root, 'QEMU')
  const architecture = text(system.get('Architecture'))
  const arch = ARCHES.find((one) => one === architecture)
  if (arch === undefined) throw refuse(`is for a processor that Coppice does not have (${shown(architecture)}).`)
  const displays = list(root, 'Display')
  listUnknown(root, qemu, remarks)
  return {
    name: shortText(text(information.get('Name'))),
    notes: longText(text(information.get('Notes'))),
    guest: { family: 'other', label: null },
    arch,
    firmware: qemu.get('UEFIBoot') === true || !isPc(arch) ? 'uefi' : 'bios',
    tpm: qemu.get('TPMDevice') === true,
    // 0: as many as the host has performance cores.
    cpus: whole(system.get('CPUCount')) || null,
    memoryMiB: whole(system.get('MemorySize')) || null,
    drives: readDrives(list(root, 'Drive'), remarks, what),
    nics: readNics(list(root, 'Network'), what),
    serialPorts: list(root, 'Serial').length,
    display: displays.length === 0 ? 'none' : text(displays[0]!.get('Hardware')).startsWith('virtio') ? 'virtio' : null,
    licences: [],
    unknown: remarks.list(),
  }
}

const INTERFACES: Readonly<Record<string, DriveController>> = {
  ...{ ide: 'ide', scsi: 'scsi', virtio: 'virtio', nvme: 'nvme', usb: 'usb', floppy: 'floppy' },
}

function readDrives(drives: readonly PlistDictionary[], remarks: Remarks, what: string): ForeignDrive[] {
  checkCount(drives.length, MAX_FOREIGN_DRIVES, 'drives', what)
  return drives.flatMap((drive): ForeignDrive[] => {
    const type = text(drive.get('ImageType'))
    const bus = text(drive.get('Interface')).toLowerCase()
    const controller = Object.hasOwn(INTERFACES, bus) ? INTERFACES[bus]! : null
    const name = text(drive.get('ImageName'))
    if (type !== 'Disk' && type !== 'CD') {
      remarks.leftOut(`Image “${shown(name)}” (${shown(type)})`)
      return []
    }
    const kind = bus === 'floppy' ? 'floppy' : type === 'CD' ? 'cdrom' : 'disk'
    const found = { ...emptyDrive(kind), controller, readOnly: drive.get('ReadOnly') === true && kind === 'disk' }
    // An image that lies elsewhere is known to macOS by a bookmark, and has no name here.
    const file = name === '' || name.includes('/') ? null : plainName(name)
    if (file !== null) return [{ ...found, file: `${IMAGES}/${file}`, format: imageFormat(null, file) }]
    if (name !== '') remarks.leftOut(`Image “${shown(name)}”, which is outside of the machine’s folder`)
    else if (kind === 'disk') remarks.leftOut('A disk without an image')
    return kind === 'disk' ? [] : [found]
  })
}

function readNics(networks: readonly PlistDictionary[], what: string): ForeignNic[] {
  checkCount(networks.length, MAX_FOREIGN_NICS, 'network cards', what)
  return networks.map((network) => ({
    model: nicModel(text(network.get('Hardware'))),
    mac: macOf(text(network.get('MacAddress'))),
    network: shortText(text(network.get('Mode'))) || null,
    connected: true,
  }))
}

function listUnknown(root: PlistDictionary, qemu: PlistDictionary, remarks: Remarks): void {
  for (const sound of list(root, 'Sound')) remarks.leftOut(`Sound card (${shown(text(sound.get('Hardware')))})`)
  const share = text(part(root, 'Sharing').get('DirectoryShareMode'))
  if (share !== '' && share !== 'None') remarks.leftOut(`Shared folder (${shown(share)})`)
  if (list(root, 'Network').some((network) => list(network, 'PortForward').length > 0)) remarks.leftOut('Port forwarding')
  const extra = qemu.get('AdditionalArguments')
  if (Array.isArray(extra) && extra.length > 0) remarks.leftOut(`Arguments for QEMU (${shown(extra.map(text).join(' '))})`)
}

/** An absent part is one that has nothing in it. */
function part(dictionary: PlistDictionary, key: string): PlistDictionary {
  const value = dictionary.get(key)
  return isDictionary(value) ? value : new Map()
}

function list(dictionary: PlistDictionary, key: string): PlistDictionary[] {
  const value = dictionary.get(key)
  return Array.isArray(value) ? value.filter(isDictionary) : []
}

function text(value: PlistValue | undefined): string {
  return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

function whole(value: PlistValue | undefined): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}
