/** What the planner says of a machine's hardware before anything is saved or made: what would run it, what keeps each engine from it, and which choices cannot be had. */
import type { FieldError } from '../errors/app-error.ts'
import type { Arch } from './machine.ts'
import type { Accelerator } from './machine-spec.ts'

export interface EngineVerdict {
  /** Every reason why it cannot run the machine, at its field of the configuration; none where it can. */
  reasons: FieldError[]
  /** What is different for the guest from where it runs now, as sentences. */
  changes: string[]
}

export interface HardwareVerdict {
  /** What would run it, or comes closest where `problems` has any. */
  engine: 'embedded' | 'qemu'
  /** "7.2.22": QEMU's; null on the embedded engine, and where QEMU cannot run it. */
  version: string | null
  accelerator: Accelerator | null
  why: string
  arch: Arch
  /** What it has, wished or not. */
  cpus: number
  memoryMiB: number
  /** What keeps the machine, as it is chosen, from running at all. */
  problems: FieldError[]
  engines: Record<'embedded' | 'qemu', EngineVerdict>
  /**
   * By field and value, why that value cannot be chosen while the rest stays as it is, as sentences; only those that cannot. Fields: arch,
   * firmware, tpm ("true"), devices, display, drives.N.bus, drives.N.cache, nics.N.model.
   */
  refused: Record<string, Record<string, string>>
}
