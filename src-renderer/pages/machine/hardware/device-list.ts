/** The devices of a machine as the list at the left shows them. Pure. */
import CdIcon from '@lucide/svelte/icons/disc-3'
import CpuIcon from '@lucide/svelte/icons/cpu'
import DiskIcon from '@lucide/svelte/icons/hard-drive'
import FolderIcon from '@lucide/svelte/icons/folder-symlink'
import FloppyIcon from '@lucide/svelte/icons/save'
import MemoryIcon from '@lucide/svelte/icons/memory-stick'
import NetworkIcon from '@lucide/svelte/icons/ethernet-port'
import PowerIcon from '@lucide/svelte/icons/circle-power'
import SerialIcon from '@lucide/svelte/icons/cable'
import { formatBytes, MiB } from '../../../../src-shared/base/units.ts'
import { isNetworkAddress } from '../../../../src-shared/model/network-disk.ts'
import type { ImageMeasure } from '../../../../src-shared/model/image-info.ts'
import type { Icon } from '../../../ui/icon.ts'
import { DRIVE_TITLES, driveTitle, numbered } from '../drive-titles.ts'
import { shortRoomWords } from './disks/disk-words.ts'
import type { DeviceKey, FormDrive, HardwareForm, NewDevice } from './hardware-form.ts'

export interface DeviceLine {
  key: DeviceKey
  icon: Icon
  title: string
  /** What it is set to, in a few words. */
  detail: string
}

export const DEVICE_LOOKS: Record<NewDevice, { icon: Icon; title: string }> = {
  disk: { icon: DiskIcon, title: DRIVE_TITLES.disk },
  cdrom: { icon: CdIcon, title: DRIVE_TITLES.cdrom },
  floppy: { icon: FloppyIcon, title: DRIVE_TITLES.floppy },
  nic: { icon: NetworkIcon, title: 'Network card' },
}

/** @param measured what a disk takes, where that is known */
export function deviceLines(form: HardwareForm, measured: (drive: FormDrive) => ImageMeasure | null): DeviceLine[] {
  return [
    {
      key: 'memory',
      icon: MemoryIcon,
      title: 'Memory',
      detail: Number.isFinite(form.memoryMiB) ? formatBytes(form.memoryMiB * MiB) : '–',
    },
    {
      key: 'boot',
      icon: PowerIcon,
      title: 'Start-up',
      detail: form.bootKind === 'kernel' ? kernelDetail(form.kernel) : form.order.map((kind) => BOOT_WORDS[kind]).join(', '),
    },
    ...form.drives.map((drive): DeviceLine => ({
      key: `drive:${drive.id}`,
      icon: DEVICE_LOOKS[drive.kind].icon,
      title: driveTitle(drive, form.drives),
      detail: driveDetail(drive, measured(drive)),
    })),
    ...form.nics.map((nic): DeviceLine => ({
      key: `nic:${nic.id}`,
      icon: NetworkIcon,
      title: numbered(DEVICE_LOOKS.nic.title, nic, form.nics),
      detail: nic.network === null ? 'Plugged in nowhere' : nic.link === 'down' ? `${nic.network}, cable pulled` : nic.network,
    })),
    {
      key: 'shares',
      icon: FolderIcon,
      title: 'Shared folders',
      detail: form.sharedFolders.length === 0 ? 'None' : form.sharedFolders.map(({ tag }) => tag).join(', '),
    },
    { key: 'serial', icon: SerialIcon, title: 'Serial ports', detail: String(form.serialPorts) },
    {
      key: 'engine',
      icon: CpuIcon,
      title: 'Engine and processors',
      detail: `${ENGINE_WORDS[form.engine]}, ${form.cpus === 1 ? 'one processor' : `${form.cpus} processors`}`,
    },
  ]
}

export const ENGINE_WORDS: Record<HardwareForm['engine'], string> = { auto: 'Chosen by Coppice', embedded: 'Embedded', qemu: 'QEMU' }

/** The beginning of a sentence about hardware that this choice of engine leaves nothing to run on. */
export function cannot(engine: HardwareForm['engine']): string {
  if (engine === 'auto') return 'Nothing on this computer can run the machine so'
  return `${engine === 'qemu' ? 'QEMU' : 'The embedded engine'} cannot run the machine so`
}

export const BOOT_WORDS: Record<FormDrive['kind'], string> = { disk: 'Disk', cdrom: 'CD', floppy: 'Floppy' }

function driveDetail(drive: FormDrive, measure: ImageMeasure | null): string {
  if (drive.path.trim() === '') return drive.kind === 'disk' ? 'No image' : 'Empty'
  const what = measure ? shortRoomWords(measure) : fileName(drive.path)
  return drive.kind !== 'cdrom' && drive.readOnly ? `${what}, read-only` : what
}

/** What a path ends with; an address on the network is told whole. */
export function fileName(path: string): string {
  if (isNetworkAddress(path)) return path.trim()
  return path.trim().split(/[/\\]/).at(-1) ?? ''
}

/** A copy in the bundle is called after its place there, which says nothing. */
function kernelDetail(file: string): string {
  const name = fileName(file)
  return name === '' || name === 'kernel' ? 'Linux kernel' : `Kernel ${name}`
}
