/** Machines from elsewhere, and for elsewhere. */
import { z } from 'zod'
import type { DiskFormat } from '../model/disk-format.ts'
import { filePathSchema, isAbsolutePath, type MachineConfig } from '../model/machine.ts'
import { nameSchema } from '../model/names.ts'
import { call, defineService } from '../rpc/service.ts'
import type { TaskStarted } from './tasks.ts'

/** `ova`: for VirtualBox, VMware and others. `coppice`: the machine's bundle as one file, with its snapshots and, where it is suspended, its memory. */
export const EXPORT_FORMATS = ['ova', 'coppice'] as const
export type ExportFormat = (typeof EXPORT_FORMATS)[number]

export type PackageKind = 'ova' | 'ovf' | 'vmware' | 'virtualbox' | 'utm' | 'coppice' | 'disk'

export interface OfferedDrive {
  kind: 'disk' | 'cdrom' | 'floppy'
  /** As its package calls it; null: an empty drive, or a new empty disk. */
  file: string | null
  /** What the file is; null where there is none. */
  format: DiskFormat | null
  /** Bytes of the disk or the image; null: none. */
  size: number | null
}

/** A machine that a package has, as it will be here. */
export interface OfferedMachine {
  /** One that nobody has here. */
  name: string
  hardware: Pick<MachineConfig, 'arch' | 'cpus' | 'memoryMiB' | 'firmware' | 'tpm'>
  /** Network cards. */
  nics: number
  drives: OfferedDrive[]
  snapshots: number
  /** Which engine would run it here, and why, as a sentence; empty where it cannot be imported. */
  why: string
  /** Why nothing on this computer can run it as it is, as sentences. It can be imported all the same. */
  problems: string[]
  /** Everything that is not taken over, or is another thing here, as sentences. */
  remarks: string[]
  /** Texts that have to be accepted before. */
  licences: string[]
  /** Why it cannot be imported, as a sentence; null where it can. */
  refused: string | null
}

export interface ImportOffer {
  kind: PackageKind
  /** At least one. */
  machines: OfferedMachine[]
}

export interface ExportOffer {
  /** A file's name, for a start. */
  file: string
  /** What other products will not have of it, or what is not in the file, as sentences. */
  remarks: string[]
  /** Why it cannot be exported so now, as a sentence; null where it can. */
  refused: string | null
}

const path = filePathSchema.refine(isAbsolutePath, 'Give the full path.')
const exported = {
  id: z.string(),
  format: z.enum(EXPORT_FORMATS),
  /** As it was then; null: as it is now. For `ova`. */
  snapshot: z.uuid().nullable().default(null),
}

export const exchange = defineService('exchange', {
  /**
   * What would be made of a file: an OVA or OVF package, a machine's file of VMware (.vmx), VirtualBox (.vbox) or UTM (its folder), an archive of ours
   * (.coppice), or a disk image. Nothing is changed, and no disk is read as a whole.
   */
  inspect: call(z.strictObject({ path })).returns<ImportOffer>(),
  /**
   * The machine appears in the library when the task is done; its result is `{ id, remarks }`. `machine`: its place in the offer. `licencesAccepted`: whoever
   * imports it has read and accepted them.
   */
  import: call(
    z.strictObject({
      path,
      machine: z.number().int().min(0).default(0),
      /** Absent: as the offer names it. */
      name: nameSchema.optional(),
      licencesAccepted: z.boolean().default(false),
    }),
  ).returns<TaskStarted>(),
  considerExport: call(z.strictObject(exported)).returns<ExportOffer>(),
  /**
   * Writes the file, which appears under its name when it is whole; one that is there gives way where `replace` says so, and stays until then. The task's
   * result is `{ bytes, remarks }`.
   */
  export: call(z.strictObject({ ...exported, path, replace: z.boolean().default(false) })).returns<TaskStarted>(),
})
