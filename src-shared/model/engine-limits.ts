/** What an engine can be given, known without starting it. The planner refuses by it, the engine says it, and the window offers by it. */
import type { Arch, Drive, NicModel } from './machine.ts'

export interface EngineLimits {
  /** For sentences: "the embedded engine". */
  name: string
  arches: readonly Arch[]
  maxCpus: number
  memoryMiB: { readonly min: number; readonly max: number }
  serialPorts: number
  nics: number
  nicModels: readonly NicModel[]
  /** How many drives of each kind its controllers take. */
  drives: Readonly<Record<Drive['kind'], number>>
}

/** v86: two hard disks and one CD drive on its IDE controllers, two floppy drives, one network card; one 32-bit CPU; less than 2 GiB. */
export const EMBEDDED_LIMITS: EngineLimits = {
  name: 'the embedded engine',
  arches: ['i386'],
  maxCpus: 1,
  memoryMiB: { min: 16, max: 2047 },
  serialPorts: 4,
  nics: 1,
  nicModels: ['virtio', 'ne2k'],
  drives: { disk: 2, cdrom: 1, floppy: 2 },
}
