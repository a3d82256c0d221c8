/** Whether a QEMU has what a machine's disks are plugged into, and what they are reached by. Pure. */
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import type { QemuFeature, QemuProgram } from '../../../src-shared/model/engine-facts.ts'
import { BUS_WORDS, busOf, type Bus } from '../../../src-shared/model/disk-bus.ts'
import { isPc, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { isNetworkAddress, NETWORK_WORDS, parseNetworkDisk, type NetworkDisk } from '../../../src-shared/model/network-disk.ts'

/** IDE has two channels for two drives each; q35's SATA controller has six ports. CDs of PCs are there as well. */
const ATA_PLACES = { pc: 4, q35: 6 } as const
/** Ports of a USB 2 controller, which older systems get. */
const EHCI_PORTS = 6

/** Debian's packages, as an example of what to install. */
const DRIVERS: Record<NetworkDisk['kind'], { feature: QemuFeature; advice: string }> = {
  nbd: { feature: 'disk-nbd', advice: 'Let the embedded engine run the machine, or use a copy of the disk.' },
  iscsi: { feature: 'disk-iscsi', advice: 'Install it (Debian: the package qemu-block-extra) and let Doctor look again, or use NBD.' },
  nfs: {
    feature: 'disk-nfs',
    advice:
      'Install it (Debian: the package qemu-block-extra) and let Doctor look again, or mount the folder on this computer and choose the file there.',
  },
}

/** @param board the board's short name */
export function diskProblems(
  { arch, drives }: Pick<MachineConfig, 'arch' | 'drives'>,
  program: QemuProgram,
  devices: 'modern' | 'legacy',
  board: string,
): FieldError[] {
  const problems: FieldError[] = []
  const pc = isPc(arch)
  const ataPlaces = board === 'pc' ? ATA_PLACES.pc : ATA_PLACES.q35
  let ata = 0
  let disks = 0
  drives.forEach((drive, at) => {
    const add = (field: string, message: string): void => void problems.push({ path: `drives.${at}.${field}`, message })
    if (drive.kind === 'cdrom' && pc) ata++
    if (drive.kind !== 'disk') return
    const bus = busOf(drive, devices)
    if (bus === 'ata') ata++
    if (bus === 'ata' && !pc) add('bus', `There are no SATA disks for ${arch} systems. Leave the bus to Coppice.`)
    else if (bus === 'ata' && ata === ataPlaces + 1)
      add('bus', `This machine has room for ${ataPlaces} SATA or IDE disks and CD drives together. Choose another bus, or remove one.`)
    if (bus === 'usb' && devices === 'legacy' && disks >= EHCI_PORTS)
      add('bus', `This machine’s USB has room for its first ${EHCI_PORTS} disks. Put it before the others, or choose another bus.`)
    const missing = DEVICES[bus](devices).filter((name) => !program.devices.includes(name))
    if (drive.bus !== undefined && missing.length > 0)
      add('bus', `${program.path} was built without ${BUS_WORDS[bus]} disks (${missing.join(', ')}).`)
    disks++
    const address = drive.path !== null && isNetworkAddress(drive.path) ? parseNetworkDisk(drive.path) : null
    if (address === null || typeof address === 'string') return
    const { feature, advice } = DRIVERS[address.kind]
    if (!program.features.includes(feature))
      add('path', `${program.path} cannot reach disks by ${NETWORK_WORDS[address.kind]}: its driver for them is not there. ${advice}`)
  })
  return problems
}

const DEVICES: Record<Bus, (devices: 'modern' | 'legacy') => string[]> = {
  virtio: () => ['virtio-blk-pci'],
  ata: () => ['ide-hd'],
  nvme: () => ['nvme'],
  usb: (devices) => ['usb-storage', devices === 'legacy' ? 'usb-ehci' : 'qemu-xhci'],
}
