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
import type { Icon } from '../../../ui/icon.ts'
import type { DeviceKey, FormDrive, HardwareForm, NewDevice } from './hardware-form.ts'

export interface DeviceLine {
  key: DeviceKey
  icon: Icon
  title: string
  /** What it is set to, in a few words. */
  detail: string
}

export const DEVICE_LOOKS: Record<NewDevice, { icon: Icon; title: string }> = {
  disk: { icon: DiskIcon, title: 'Disk' },
  cdrom: { icon: CdIcon, title: 'CD drive' },
  floppy: { icon: FloppyIcon, title: 'Floppy drive' },
  nic: { icon: NetworkIcon, title: 'Network card' },
}

export function deviceLines(form: HardwareForm): DeviceLine[] {
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
      title: numbered(
        DEVICE_LOOKS[drive.kind].title,
        drive,
        form.drives.filter(({ kind }) => kind === drive.kind),
      ),
      detail: driveDetail(drive),
    })),
    ...form.nics.map((nic): DeviceLine => ({
      key: `nic:${nic.id}`,
      icon: NetworkIcon,
      title: numbered(DEVICE_LOOKS.nic.title, nic, form.nics),
      detail: nic.link === 'up' ? 'Plugged in' : 'Unplugged',
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

/** "Disk", or "Disk 2" where there are several. */
function numbered<T>(title: string, device: T, alike: readonly T[]): string {
  return alike.length > 1 ? `${title} ${alike.indexOf(device) + 1}` : title
}

function driveDetail(drive: FormDrive): string {
  if (drive.path.trim() === '') return drive.kind === 'disk' ? 'No image' : 'Empty'
  return drive.kind !== 'cdrom' && drive.readOnly ? `${fileName(drive.path)}, read-only` : fileName(drive.path)
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
