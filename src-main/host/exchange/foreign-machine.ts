/**
 * A machine as other products describe it, in words that none of them owns. Readers (ovf/, vmware/, virtualbox/, utm/) make one of a hostile
 * file, import-machine.ts makes a machine of ours of it; export-machine.ts makes one of a machine of ours, and ovf/build-ovf.ts writes it.
 */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { Arch } from '../../../src-shared/model/machine.ts'

/** More of them than any of the products allows in practice; a description with more is refused. */
export const MAX_FOREIGN_MACHINES = 64
export const MAX_FOREIGN_DRIVES = 256
export const MAX_FOREIGN_NICS = 64
/** Characters of a name or another short text, and of notes and licences. */
export const MAX_FOREIGN_NAME = 1024
export const MAX_FOREIGN_TEXT = 256 * 1024

export type GuestFamily = 'linux' | 'windows' | 'macos' | 'bsd' | 'solaris' | 'dos' | 'other'

export interface ForeignGuest {
  family: GuestFamily
  /** As its product names it: "Ubuntu_64", "windows11-64". */
  label: string | null
}

export type DriveController = 'ide' | 'sata' | 'scsi' | 'nvme' | 'usb' | 'virtio' | 'floppy'

export interface ForeignDrive {
  kind: 'disk' | 'cdrom' | 'floppy'
  /** Null: the description does not say. */
  controller: DriveController | null
  /** The controller's model where there are several of its kind: "lsilogic". Lower case. */
  controllerModel: string | null
  /** A plain relative name (text/file-reference.ts). Null: an empty drive, or a new empty disk of `capacity` bytes. */
  file: string | null
  /** What the description says of the file; null where it says nothing: look into the file. */
  format: DiskFormat | 'iso' | null
  /** The file itself is compressed, whatever its format (OVF's ovf:compression). */
  compression: 'gzip' | null
  /** Files that `file` rests on, the nearest first, as plain names, where the description knows them and not the image itself. */
  parents: string[]
  /** Bytes; null: unknown. */
  capacity: number | null
  /** 1 is tried first; null: not said. */
  bootOrder: number | null
  readOnly: boolean
}

export type ForeignNicModel = 'virtio' | 'e1000' | 'e1000e' | 'rtl8139' | 'ne2k' | 'pcnet' | 'vmxnet' | 'vmxnet3' | 'other'

export interface ForeignNic {
  /** Null: not said. */
  model: ForeignNicModel | null
  /** Unicast, as Coppice writes it; null: a new one is wanted. */
  mac: string | null
  /** What it is connected to, as a name for people: "VM Network", "nat". */
  network: string | null
  connected: boolean
}

export interface ForeignMachine {
  name: string
  notes: string
  guest: ForeignGuest
  /** Null: not said. */
  arch: Arch | null
  firmware: 'bios' | 'uefi' | 'uefi-secure'
  tpm: boolean
  /** Null: not said. */
  cpus: number | null
  memoryMiB: number | null
  /** In the order in which their controllers have them. */
  drives: ForeignDrive[]
  nics: ForeignNic[]
  serialPorts: number
  /** Null: not said, or an ordinary one. */
  display: 'virtio' | 'none' | null
  /** Licences that must be shown before it is used. */
  licences: string[]
  /** What has no counterpart in this form, as sentences for people: "Sound card (ES1371): left out." */
  unknown: string[]
}

export function emptyDrive(kind: ForeignDrive['kind']): ForeignDrive {
  return {
    ...{ kind, controller: null, controllerModel: null, file: null, format: null, compression: null },
    ...{ parents: [], capacity: null, bootOrder: null, readOnly: false },
  }
}

/** A count of things against its limit. @throws AppError `unsupported` */
export function checkCount(count: number, limit: number, things: string, what: string): void {
  if (count > limit) throw new AppError('unsupported', `${what} has ${count} ${things}. At most ${limit} are read.`, { subject: what })
}

export function shortText(text: string): string {
  return text.trim().slice(0, MAX_FOREIGN_NAME).toWellFormed()
}

export function longText(text: string): string {
  return text.trim().slice(0, MAX_FOREIGN_TEXT).toWellFormed()
}
