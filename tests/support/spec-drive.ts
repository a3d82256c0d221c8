import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'

type SpecDrive = MachineSpec['drives'][number]

/** A drive as the planner gives it to an engine: with an image and writable, but for what is said. */
export function specDrive(id: string, kind: SpecDrive['kind'], change: Partial<SpecDrive> = {}): SpecDrive {
  return { id, kind, readOnly: kind === 'cdrom', inserted: true, path: `/images/${id}`, format: 'raw', limits: null, ...change }
}
