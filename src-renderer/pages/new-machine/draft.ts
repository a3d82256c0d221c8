/** What the New Machine dialog holds while it is filled in, and what it becomes. Pure. */
import {
  newHardwareSchema,
  newMachineSchema,
  type NewHardware,
  type NewMachine,
  type NewMachineSource,
} from '../../../src-shared/api/machines.ts'
import { parseBytes } from '../../../src-shared/base/units.ts'
import { fieldErrors } from '../../../src-shared/errors/field-errors.ts'
import { DEFAULT_NETWORK } from '../../../src-shared/model/network.ts'
import { isAbsolutePath, type Arch, type MachineConfig } from '../../../src-shared/model/machine.ts'

export type SourceKind = Exclude<NewMachineSource['kind'], 'floppy'>

/** Fields as typed. Those of other sources are kept while one source is chosen. */
export interface Draft {
  kind: SourceKind
  name: string
  iso: string
  addDisk: boolean
  diskSize: string
  disk: string
  copyDisk: boolean
  kernel: string
  initrd: string
  cmdline: string
  /** Null: what the host gives such a machine. */
  memoryMiB: number | null
  cpus: number | null
  engine: MachineConfig['engine']
  /** Null: what suits the source and the engine. */
  arch: Arch | null
  firmware: MachineConfig['firmware']
  tpm: boolean
  devices: MachineConfig['devices']
  serialPorts: string
  /** Where its network card is plugged in; empty: nowhere. */
  network: string
}

export function emptyDraft(kind: SourceKind): Draft {
  return {
    kind,
    name: '',
    iso: '',
    addDisk: true,
    diskSize: '4 GiB',
    disk: '',
    copyDisk: true,
    kernel: '',
    initrd: '',
    cmdline: 'console=ttyS0',
    memoryMiB: null,
    cpus: null,
    engine: 'auto',
    arch: null,
    firmware: 'bios',
    tpm: false,
    devices: 'auto',
    serialPorts: '1',
    network: DEFAULT_NETWORK,
  }
}

/** The machine that the draft asks for, valid or not. */
export function toNewMachine(draft: Draft): NewMachine {
  const bytes = parseBytes(draft.diskSize)
  return {
    name: draft.name,
    source: sourceOf(draft),
    ...hardwareOf(draft),
    networks: [draft.network === '' ? null : draft.network],
    ...(draft.kind === 'iso' && draft.addDisk && bytes !== null ? { newDiskBytes: Math.ceil(bytes / 512) * 512 } : {}),
  }
}

/** What is asked of the hardware; only what was chosen. */
function hardwareOf(draft: Draft): Omit<NewHardware, 'source'> {
  return {
    engine: draft.engine,
    serialPorts: Number(draft.serialPorts),
    ...(draft.memoryMiB === null ? {} : { memoryMiB: draft.memoryMiB }),
    ...(draft.cpus === null ? {} : { cpus: draft.cpus }),
    ...(draft.arch === null ? {} : { arch: draft.arch }),
    ...(startsFromFirmware(draft) ? { firmware: draft.firmware, tpm: draft.tpm } : {}),
    ...(startsFromFirmware(draft) && draft.devices !== 'auto' ? { devices: draft.devices } : {}),
  }
}

/** It brings a boot loader of its own: what the computer around it is like matters. */
export function startsFromFirmware({ kind }: Draft): boolean {
  return kind === 'iso' || kind === 'disk'
}

/** What is asked of the host about the draft; null while it is wrong by itself. */
export function questionOf(draft: Draft): NewHardware | null {
  const { kind } = draft
  const kernel = draft.kernel.trim()
  const question = { ...hardwareOf(draft), source: { kind, ...(kind === 'kernel' && isAbsolutePath(kernel) ? { kernel } : {}) } }
  return newHardwareSchema.safeParse(question).success ? question : null
}

function sourceOf(draft: Draft): NewMachine['source'] {
  switch (draft.kind) {
    case 'sample':
      return { kind: 'sample' }
    case 'iso':
      return { kind: 'iso', path: draft.iso.trim() }
    case 'disk':
      return { kind: 'disk', path: draft.disk.trim(), copy: draft.copyDisk }
    case 'kernel':
      return {
        kind: 'kernel',
        kernel: draft.kernel.trim(),
        initrd: draft.initrd.trim() === '' ? null : draft.initrd.trim(),
        cmdline: draft.cmdline,
      }
  }
}

/** The first complaint of each field, by its path in NewMachine; empty when the host would take it. */
export function draftErrors(draft: Draft): Record<string, string> {
  const errors: Record<string, string> = {}
  const parsed = newMachineSchema.safeParse(toNewMachine(draft))
  if (!parsed.success) for (const field of fieldErrors(parsed.error)) errors[field.path] ??= field.message
  if (draft.kind === 'iso' && draft.addDisk && parseBytes(draft.diskSize) === null)
    errors['newDiskBytes'] = `“${draft.diskSize}” is not a size. Write it as in “4 GiB” or “512 MiB”.`
  return errors
}

/** A name from a file's name: "debian-12.5-netinst.iso" gives "debian-12.5-netinst". */
export function nameFromPath(path: string): string {
  const file = path.split(/[/\\]/).at(-1) ?? ''
  return file
    .replace(/(\.(iso|img|raw|bin|gz|xz))+$/i, '')
    .replace(/[<>:"|?*]/g, ' ')
    .trim()
}
