/**
 * Disks, CDs and floppies. Each image is a block node named after its drive, which QMP commands use too: `<id>` is what the device reads and
 * `<id>-file` the image. A disk has a throttle group of its own even without limits, so that limits can be set while it runs.
 */
import { busOf } from '../../../../src-shared/model/disk-bus.ts'
import type { DiskFormat } from '../../../../src-shared/model/disk-format.ts'
import { placed } from '../../../../src-shared/model/live-change.ts'
import type { MachineSpec, QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import { hotSlot, slot, usbDiskSlot, type Board } from './board.ts'
import { fileNode } from './network-disk.ts'
import { device, json, type DeviceValues } from './option.ts'

type Drive = MachineSpec['drives'][number]
type PlacedDrive = Drive & { place: number }

export function driveArguments(spec: MachineSpec, qemu: QemuSpec, board: Board): string[] {
  const drives = placed(spec.drives)
  const places = drivePlaces(drives, qemu, board)
  const controllers = [...new Set(places.map(({ controller }) => controller))].flatMap((controller) =>
    controller === null ? [] : controllerArguments(controller, qemu, board),
  )
  const floppies = drives.flatMap((drive, at) => (drive.kind === 'floppy' ? [bootIndex(spec, at)] : []))
  return [
    // Which floppy is tried when is the controller's, not the drive's.
    ...floppies.flatMap((index, at) => (index === null ? [] : ['-global', `isa-fdc.bootindex${at === 0 ? 'A' : 'B'}=${index}`])),
    ...controllers,
    ...drives.flatMap((drive, at) => {
      const { driver, where } = places[at]!
      return [
        ...nodeArguments(drive),
        ...device(driver, {
          id: drive.id,
          ...where,
          drive: drive.inserted ? drive.id : null,
          ...(drive.kind === 'disk' ? diskValues(drive, driver, qemu) : {}),
          bootindex: drive.kind === 'floppy' ? null : bootIndex(spec, at),
        }),
      ]
    }),
  ]
}

type Controller = 'floppy' | 'scsi' | 'usb'
interface Place {
  driver: string
  where: Record<string, string | number>
  /** What must be there for it, and is not by itself. */
  controller: Controller | null
}

/** What each drive is and where it is plugged in. Old systems know IDE (i440FX) or SATA (q35) and no virtio; boards that are no PCs have neither. */
function drivePlaces(drives: readonly PlacedDrive[], { devices }: QemuSpec, board: Board): Place[] {
  // The two IDE channels have room for two drives each; SATA ports take one each. CDs begin at the second channel, as PCs had them.
  const free = board.kind === 'pci' ? [0, 1, 2, 3] : [0, 1, 2, 3, 4, 5]
  const cdFirst = [2, 3, 1, 0, 4, 5]
  const taken = new Set<number>()
  const take = (order: readonly number[]): Record<string, string | number> => {
    const port = order.find((one) => free.includes(one) && !taken.has(one)) ?? 0
    taken.add(port)
    return board.kind === 'pci' ? { bus: `ide.${port >> 1}`, unit: port & 1 } : { bus: `ide.${port}` }
  }
  const cds = drives.map((drive) => (drive.kind === 'cdrom' && board.pc ? take(cdFirst) : null))
  return drives.map((drive, index): Place => {
    const { kind, inserted, place: at } = drive
    switch (kind) {
      case 'floppy':
        return {
          driver: 'floppy',
          where: { unit: at, ...(inserted ? {} : EMPTY_FLOPPY) },
          controller: board.kind === 'pcie' ? 'floppy' : null,
        }
      case 'cdrom':
        if (!board.pc) return { driver: 'scsi-cd', where: { bus: 'scsi0.0', 'scsi-id': at }, controller: 'scsi' }
        return { driver: 'ide-cd', where: cds[index]!, controller: null }
      case 'disk':
        return busOf(drive, devices) === 'ata' ? { driver: 'ide-hd', where: take(free), controller: null } : hotPlace(drive, devices, board)
    }
  })
}

/** Of disks that can come and go while the machine runs. */
function hotPlace(drive: PlacedDrive, devices: QemuSpec['devices'], board: Board): Place {
  const bus = busOf(drive, devices)
  // Ports of USB are counted from 1.
  if (bus === 'usb') return { driver: 'usb-storage', where: { bus: `${USB_DISKS}.0`, port: drive.place + 1 }, controller: 'usb' }
  return { driver: bus === 'nvme' ? 'nvme' : VIRTIO_DISK, where: { ...hotSlot(board, 'disk', drive.place) }, controller: null }
}

/** Disks on USB have a controller of their own, with a port for each. The underscore: no drive has it in its id. */
const USB_DISKS = 'usb_disks'
const XHCI_PORTS = 8

/** A 1.44 MB drive. One with an image is what the image is. */
const EMPTY_FLOPPY = { 'drive-type': '144' } as const

function controllerArguments(controller: Controller, { devices }: QemuSpec, board: Board): string[] {
  switch (controller) {
    case 'floppy':
      return device('isa-fdc', { id: 'fdc0' })
    case 'scsi':
      return device('virtio-scsi-pci', { id: 'scsi0', ...slot(board, 'scsi') })
    case 'usb':
      // Older systems know USB 2.
      if (devices === 'legacy') return device('usb-ehci', { id: USB_DISKS, ...usbDiskSlot(board) })
      return device('qemu-xhci', { id: USB_DISKS, ...usbDiskSlot(board), p2: XHCI_PORTS, p3: XHCI_PORTS })
  }
}

/** What a disk's device is told beside its place. */
function diskValues({ id, cache }: Drive, driver: string, qemu: QemuSpec): Record<string, string | number | boolean> {
  return {
    serial: id,
    ...(driver === VIRTIO_DISK ? queues(qemu) : {}),
    // The guest sees a disk without a write cache, and each write is flushed.
    ...(cache === 'writethrough' ? { 'write-cache': false } : {}),
  }
}

/** The first drive of the first kind in the boot order is tried first. Null: not at all. */
function bootIndex({ boot, drives }: MachineSpec, at: number): number | null {
  if (boot.kind === 'kernel') return null
  const ranked = boot.order.flatMap((kind) => drives.flatMap((drive, index) => (drive.kind === kind ? [index] : [])))
  const rank = ranked.indexOf(at)
  return rank < 0 ? null : rank
}

function nodeArguments(drive: Drive): string[] {
  if (!drive.inserted || drive.path === null) return []
  if (drive.kind !== 'disk') return json('-blockdev', mediumNode(drive.id, { ...drive, path: drive.path }))
  const { group, image, device: top } = diskNodes({ ...drive, path: drive.path })
  return [...json('-object', group), ...json('-blockdev', image), ...json('-blockdev', top)]
}

type Image = Pick<Drive, 'readOnly' | 'format'> & { path: string }

/** QEMU's name of a format. */
function formatDriver(format: DiskFormat): string {
  return format === 'vhd' ? 'vpc' : format
}

/** What is in a CD or floppy drive, as a block node. */
export function mediumNode(name: string, { path, readOnly, format }: Image): { 'node-name': string; driver: string } {
  return { 'node-name': name, ...{ driver: formatDriver(format), 'read-only': readOnly, file: fileNode(path) } }
}

/** What a disk reads and writes: its throttle group, its image, and between the two what the device sees. */
export function diskNodes(drive: Image & Pick<Drive, 'id' | 'limits' | 'cache'>): {
  group: { 'qom-type': string; id: string }
  image: { 'node-name': string; driver: string }
  device: { 'node-name': string; driver: string }
} {
  const { id, path, readOnly, format } = drive
  const discard = readOnly ? {} : { discard: 'unmap' }
  const group = diskGroup(id)
  const file = diskImage(id)
  const cache = cacheOf(drive)
  return {
    group: { 'qom-type': 'throttle-group', ...{ id: group, limits: throttleLimits(drive) } },
    image: {
      'node-name': file,
      driver: formatDriver(format),
      ...{ 'read-only': readOnly, ...discard, ...(readOnly ? {} : { 'detect-zeroes': 'unmap' }) },
      ...cache,
      ...{ file: { ...fileNode(path), ...discard, ...cache } },
    },
    device: { driver: 'throttle', 'node-name': id, ...{ 'throttle-group': group, file, ...(readOnly ? { 'read-only': true } : discard) } },
  }
}

/** Of block nodes. Write-back and write-through differ in the device alone. */
function cacheOf({ cache }: Pick<Drive, 'cache'>): { cache?: { direct: boolean; 'no-flush': boolean } } {
  return cache === 'none' || cache === 'unsafe' ? { cache: { direct: cache === 'none', 'no-flush': cache === 'unsafe' } } : {}
}

/** A disk that comes while the machine runs, which is none on SATA or IDE; it is booted from when the machine starts with it. */
export function diskDevice(drive: PlacedDrive, qemu: QemuSpec, board: Board): DeviceValues {
  const { driver, where } = hotPlace(drive, qemu.devices, board)
  return { driver, id: drive.id, ...where, drive: drive.id, ...diskValues(drive, driver, qemu) }
}

const VIRTIO_DISK = 'virtio-blk-pci'
const MAX_QUEUES = 4

/** Said, because QEMU takes one for each processor, and the guest must find as many when it goes on with processors that were added since. */
function queues({ maxCpus }: QemuSpec): { 'num-queues': number } {
  return { 'num-queues': Math.min(maxCpus, MAX_QUEUES) }
}

/** The node of its image. */
export function diskImage(id: string): string {
  return `${id}-file`
}

export function diskGroup(id: string): string {
  return `${id}-limits`
}

/** As `qom-set` takes it, too: 0 is no limit (QEMU's ThrottleLimits). */
export function throttleLimits({ limits }: Pick<Drive, 'limits'>): Record<string, number> {
  return { 'iops-total': limits?.iops ?? 0, 'bps-total': limits?.bytesPerSecond ?? 0 }
}
