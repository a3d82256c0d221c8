/** A machine of ours as other products can have it; what they cannot have stands in `unknown`. */
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { BUS_WORDS, busOf } from '../../../src-shared/model/disk-bus.ts'
import { isPc, linksUp, type Drive, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { emptyDrive, type DriveController, type ForeignDrive, type ForeignMachine } from './foreign-machine.ts'
import { shown } from './text/remarks.ts'

/** The file that a drive's image becomes. */
export interface ExportedImage {
  /** A plain name. */
  file: string
  format: DiskFormat | 'iso'
  /** Bytes that the guest sees. */
  capacity: number
}

/** @param images by drive id: every disk that is brought along, and CDs. Disks without one are left out, other drives are empty. */
export function describeForExport(config: MachineConfig, images: ReadonlyMap<string, ExportedImage>): ForeignMachine {
  const unknown = new Set<string>()
  const pc = isPc(config.arch)
  if (config.boot.kind === 'kernel')
    unknown.add('It starts from a kernel file (direct kernel boot), which other products cannot: there it boots from its disks.')
  if (!pc) unknown.add(`It is a machine for ${config.arch} processors: other products run it on computers with such processors only.`)
  if (config.sharedFolders.length > 0)
    unknown.add(`Shared folders (${shown(config.sharedFolders.map(({ tag }) => tag).join(', '))}): left out.`)
  if (config.drives.some(({ limits }) => limits !== null)) unknown.add('Limits of its drives: left out.')
  if (config.vncExport.enabled) unknown.add('Its screen for VNC viewers: left out.')
  const order = config.boot.kind === 'firmware' ? config.boot.order : []
  const ata: DriveController = config.firmware === 'bios' ? 'ide' : 'sata'
  const devices = config.devices === 'legacy' ? 'legacy' : 'modern'
  const busFor = (drive: Drive): DriveController => {
    const bus = busOf(drive, devices)
    return bus === 'ata' ? ata : bus
  }
  for (const drive of config.drives) {
    const bus = busOf(drive, devices)
    if (drive.kind === 'disk' && bus !== 'ata')
      unknown.add(`Its disks are on ${BUS_WORDS[bus]} here and on SATA there. A system without a driver for it does not start.`)
  }
  const drives = config.drives.flatMap((drive): ForeignDrive[] => {
    const image = images.get(drive.id)
    const place = order.indexOf(drive.kind) + 1
    const controller = drive.kind === 'floppy' ? 'floppy' : drive.kind === 'disk' ? busFor(drive) : devices === 'modern' ? 'sata' : ata
    const found = {
      ...emptyDrive(drive.kind),
      controller,
      bootOrder: place === 0 ? null : place,
      readOnly: drive.kind === 'disk' && drive.readOnly,
    }
    if (image !== undefined) return [{ ...found, file: image.file, format: image.format, capacity: image.capacity }]
    if (drive.kind === 'disk') {
      unknown.add(`Disk “${shown(drive.path ?? drive.id)}”: left out.`)
      return []
    }
    if (drive.path !== null)
      unknown.add(`“${shown(drive.path)}” in the ${drive.kind === 'cdrom' ? 'CD' : 'floppy'} drive: left out. The drive is empty.`)
    return [found]
  })
  return {
    name: config.name,
    notes: config.notes,
    guest: {
      family: config.guest === 'coppice-linux' ? 'linux' : 'other',
      label: config.guest === 'coppice-linux' ? 'Coppice Linux' : null,
    },
    arch: config.arch,
    firmware: pc ? config.firmware : 'uefi',
    tpm: config.tpm,
    cpus: config.cpus,
    memoryMiB: config.memoryMiB,
    drives,
    nics: config.nics.map((nic) => ({
      // What `auto` and older systems get: planner/plan-machine.ts.
      model: nic.model === 'virtio' && config.devices === 'legacy' ? 'e1000e' : nic.model,
      mac: nic.mac,
      network: nic.network,
      connected: linksUp(nic),
    })),
    serialPorts: config.serialPorts,
    display: config.display === 'none' ? 'none' : config.display === 'virtio' ? 'virtio' : null,
    licences: [],
    unknown: [...unknown],
  }
}
