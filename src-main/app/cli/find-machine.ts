/** Which machine a NAME on the command line means, and what is told of it. */
import type { MachineChange, MachineView } from '../../../src-shared/api/machines.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { isActive } from '../../../src-shared/model/machine-state.ts'

/** Names that are listed in a sentence. */
const MAX_LISTED = 8
/** Digits of an id that are shown and suffice in practice. */
export const SHORT_ID = 8

/**
 * A whole name or id, else the only id that begins so.
 * @throws AppError `not-found` (says what there is), `invalid-input` where several fit
 */
export function findMachine(machines: readonly MachineView[], wanted: string): MachineView {
  const exact = machines.filter((machine) => machine.name === wanted || machine.id === wanted)
  const fitting = exact.length > 0 ? exact : machines.filter((machine) => wanted !== '' && machine.id.startsWith(wanted.toLowerCase()))
  if (fitting.length === 1) return fitting[0]!
  if (fitting.length > 1) {
    const ids = fitting.slice(0, MAX_LISTED).map((machine) => `${machine.id} (${machine.name})`)
    throw new AppError('invalid-input', `“${wanted}” fits ${fitting.length} machines. Use an id: ${ids.join(', ')}.`, { subject: wanted })
  }
  throw new AppError('not-found', `There is no machine “${wanted}”. ${whatThereIs(machines)}`, { subject: wanted })
}

/** Whether it says that this machine runs no more, or is not there any more. */
export function tellsEnd(change: MachineChange, id: string): boolean {
  return change.kind === 'removed' ? change.id === id : change.machine.id === id && !isActive(change.machine.state)
}

function whatThereIs(machines: readonly MachineView[]): string {
  if (machines.length === 0) return 'The library is empty: make one with “coppice create NAME --sample”.'
  const names = machines.slice(0, MAX_LISTED).map((machine) => `“${machine.name}”`)
  const more = machines.length > MAX_LISTED ? ` and ${machines.length - MAX_LISTED} more` : ''
  return `The library has ${names.join(', ')}${more}.`
}
