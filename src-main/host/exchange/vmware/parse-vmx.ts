/**
 * VMware's machine file (.vmx), as Workstation, Fusion and ESXi write it. Nobody publishes a specification of the settings: these are the ones
 * that products of hardware versions 8 to 21 write, their defaults as VMware's documentation of virtual devices gives them.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { guestByName, imageFormat, nicModel } from '../device-names.ts'
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
import { countOf, isTrue, macOf } from '../text/counts.ts'
import { plainName } from '../text/file-reference.ts'
import { Remarks, shown } from '../text/remarks.ts'
import { parseDictionary, type VmxDictionary } from './vmx-dictionary.ts'

/**
 * @param what the file, for sentences: "debian.vmx"
 * @throws AppError `corrupt` for what is no .vmx file; `unsupported` for an encrypted machine, and past a limit
 */
export function parseVmx(bytes: Uint8Array, what: string): ForeignMachine {
  const settings = parseDictionary(bytes, what)
  if (settings.has('encryption.data') || settings.has('encryption.encryptedkey'))
    throw new AppError('unsupported', `${what} is encrypted. Take the encryption off in VMware first.`, { subject: what })
  if (!settings.has('virtualhw.version') && !settings.has('config.version') && !settings.has('guestos'))
    throw new AppError('corrupt', `${what} does not describe a machine of VMware.`, { subject: what })
  const remarks = new Remarks()
  const { guest, arch } = guestByName(settings.get('guestos') ?? '')
  const uefi = settings.get('firmware')?.toLowerCase() === 'efi'
  const secure = uefi && isTrue(settings.get('uefi.secureboot.enabled'))
  listUnknown(settings, remarks)
  return {
    name: shortText(settings.get('displayname') ?? ''),
    notes: longText(settings.get('annotation') ?? ''),
    guest,
    arch,
    firmware: secure ? 'uefi-secure' : uefi ? 'uefi' : 'bios',
    tpm: isTrue(settings.get('vtpm.present')) || /^software$/i.test(settings.get('managedvm.autoaddvtpm') ?? ''),
    cpus: countOf(settings.get('numvcpus')) ?? 1,
    memoryMiB: countOf(settings.get('memsize')),
    drives: readDrives(settings, remarks, what),
    nics: readNics(settings, arch === 'i386' ? 'pcnet' : 'e1000', what),
    serialPorts: presentUnits(settings, /^serial(\d{1,2})\.present$/).length,
    display: null,
    licences: [],
    unknown: remarks.list(),
  }
}

/** The numbers of a pattern's keys whose value is true, in order. */
function presentUnits(settings: VmxDictionary, key: RegExp): number[] {
  return [...settings]
    .flatMap(([name, value]) => {
      const unit = key.exec(name)?.[1]
      return unit !== undefined && isTrue(value) ? [Number(unit)] : []
    })
    .sort((a, b) => a - b)
}

const BUSES: readonly DriveController[] = ['nvme', 'scsi', 'sata', 'ide', 'usb']

function readDrives(settings: VmxDictionary, remarks: Remarks, what: string): ForeignDrive[] {
  const places = [...settings].flatMap(([name, value]) => {
    const parts = /^(nvme|scsi|sata|ide|usb):?(\d{1,2}):(\d{1,3})\.present$/.exec(name)
    return parts === null || !isTrue(value)
      ? []
      : [{ bus: parts[1] as DriveController, controller: Number(parts[2]), unit: Number(parts[3]) }]
  })
  const floppies = presentUnits(settings, /^floppy(\d{1,2})\.present$/)
  checkCount(places.length + floppies.length, MAX_FOREIGN_DRIVES, 'drives', what)
  const order = bootOrder(settings)
  const drives = places
    .sort((a, b) => BUSES.indexOf(a.bus) - BUSES.indexOf(b.bus) || a.controller - b.controller || a.unit - b.unit)
    // Other devices of USB and of passed-through SCSI have no file of an image.
    .flatMap(({ bus, controller, unit }) => readDrive(settings, `${bus}${controller}:${unit}`, `${bus}${controller}`, bus, remarks) ?? [])
  for (const unit of floppies) drives.push(readFloppy(settings, `floppy${unit}`, remarks))
  return drives.map((drive) => ({ ...drive, bootOrder: order.get(drive.kind) ?? null }))
}

function readDrive(settings: VmxDictionary, at: string, bus: string, controller: DriveController, remarks: Remarks): ForeignDrive | null {
  const type = settings.get(`${at}.devicetype`)?.toLowerCase() ?? 'disk'
  const path = settings.get(`${at}.filename`) ?? ''
  const model = settings.get(`${bus}.virtualdev`)?.toLowerCase() ?? null
  const where = { controller, controllerModel: controller === 'scsi' && model !== null ? shortText(model) : null }
  if (type.includes('cdrom')) {
    const drive = { ...emptyDrive('cdrom'), ...where }
    if (type !== 'cdrom-image') {
      remarks.add(`CD drive of the host (${at}): the drive is empty here.`)
      return drive
    }
    return path === '' ? drive : withFile(drive, path, `CD “${shown(path)}”`, remarks)
  }
  if (type === 'rawdisk' || (type !== 'disk' && !/^(scsi|ata|nvme|sata)-harddisk$/.test(type))) {
    remarks.leftOut(`${type === 'rawdisk' ? 'Raw disk of the host' : `Device ${shown(type)}`} (${at})`)
    return null
  }
  const drive = { ...emptyDrive('disk'), ...where }
  if (/nonpersistent$/i.test(settings.get(`${at}.mode`) ?? ''))
    remarks.add(`Disk ${at} forgot what was written to it at every power-off. Here it keeps it.`)
  if (path === '') return null
  const found = withFile(drive, path, `Disk “${shown(path)}”`, remarks)
  return found.file === null ? null : found
}

function readFloppy(settings: VmxDictionary, at: string, remarks: Remarks): ForeignDrive {
  const drive: ForeignDrive = { ...emptyDrive('floppy'), controller: 'floppy' }
  const path = settings.get(`${at}.filename`) ?? ''
  if (path === '') return drive
  if (settings.get(`${at}.filetype`)?.toLowerCase() !== 'file') {
    remarks.add(`Floppy drive of the host (${at}): the drive is empty here.`)
    return drive
  }
  const found = withFile(drive, path, `Floppy “${shown(path)}”`, remarks)
  return found.file === null ? found : { ...found, format: 'raw' }
}

/** Drives of the host have words such as "auto detect" in the place of a name. */
function withFile(drive: ForeignDrive, path: string, part: string, remarks: Remarks): ForeignDrive {
  const file = plainName(path)
  if (file === null) {
    remarks.leftOut(`${part}, which is outside of the machine’s folder`)
    return drive
  }
  return { ...drive, file, format: imageFormat(null, file) }
}

const BOOT_WORDS: Readonly<Record<string, ForeignDrive['kind']>> = { hdd: 'disk', cdrom: 'cdrom', floppy: 'floppy' }

function bootOrder(settings: VmxDictionary): Map<ForeignDrive['kind'], number> {
  const words = (settings.get('bios.bootorder') ?? '').toLowerCase().split(/[\s,]+/)
  const places = new Map<ForeignDrive['kind'], number>()
  for (const word of words)
    if (Object.hasOwn(BOOT_WORDS, word) && !places.has(BOOT_WORDS[word]!)) places.set(BOOT_WORDS[word]!, places.size + 1)
  return places
}

function readNics(settings: VmxDictionary, usual: 'pcnet' | 'e1000', what: string): ForeignNic[] {
  const units = presentUnits(settings, /^ethernet(\d{1,2})\.present$/)
  checkCount(units.length, MAX_FOREIGN_NICS, 'network cards', what)
  return units.map((unit) => {
    const of = (name: string): string | undefined => settings.get(`ethernet${unit}.${name}`)
    const network = of('networkname') ?? of('vnet') ?? of('connectiontype') ?? ''
    return {
      model: nicModel(of('virtualdev') ?? null) ?? usual,
      mac: macOf(of('addresstype')?.toLowerCase() === 'static' ? of('address') : of('generatedaddress')) ?? macOf(of('address')),
      // Without any of them it is bridged.
      network: shortText(network) || 'bridged',
      connected: of('startconnected') === undefined || isTrue(of('startconnected')),
    }
  })
}

function listUnknown(settings: VmxDictionary, remarks: Remarks): void {
  if (isTrue(settings.get('sound.present'))) remarks.leftOut(`Sound card (${shown(settings.get('sound.virtualdev') ?? 'ES1371')})`)
  for (const unit of presentUnits(settings, /^parallel(\d{1,2})\.present$/)) remarks.leftOut(`Parallel port ${unit + 1}`)
  for (const unit of presentUnits(settings, /^sharedfolder(\d{1,3})\.present$/))
    remarks.leftOut(`Shared folder “${shown(settings.get(`sharedfolder${unit}.guestname`) ?? String(unit))}”`)
  for (const unit of presentUnits(settings, /^pcipassthru(\d{1,2})\.present$/)) remarks.leftOut(`PCI device of the host (${unit})`)
  if (isTrue(settings.get('mks.enable3d'))) remarks.leftOut('3D acceleration of the display')
  if (isTrue(settings.get('remotedisplay.vnc.enabled'))) remarks.leftOut('Remote display')
  if ((settings.get('checkpoint.vmstate') ?? '') !== '')
    remarks.add('The suspended state of its memory: left out. The machine starts anew.')
  const nvram = settings.get('nvram') ?? ''
  if (nvram !== '' && settings.get('firmware')?.toLowerCase() === 'efi') remarks.leftOut(`Saved firmware settings (${shown(nvram)})`)
}
