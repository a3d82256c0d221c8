/** Sentences for what cannot be done now. */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { STATE_WORDS, type MachineState, type PowerAction } from '../../../src-shared/model/machine-state.ts'

const DONE: Record<PowerAction | 'edit' | 'duplicate' | 'trash' | 'forget' | 'template', string> = {
  start: 'started',
  pause: 'paused',
  resume: 'resumed',
  powerButton: 'shut down',
  powerOff: 'powered off',
  reset: 'reset',
  suspend: 'suspended',
  discardSuspend: 'cleared of a suspended state',
  edit: 'changed in its hardware',
  duplicate: 'duplicated',
  trash: 'moved to the trash',
  forget: 'forgotten',
  template: 'made a template',
}

/** "“web-1” cannot be started now: it is running." */
export function wrongState(action: keyof typeof DONE, name: string, state: MachineState): AppError {
  const now = state === 'crashed' ? 'has crashed' : `is ${STATE_WORDS[state].toLowerCase()}`
  const text = `“${name}” cannot be ${DONE[action]} now: it ${now}.`
  return new AppError('wrong-state', text, { subject: name })
}

/** @param what the other work: "being duplicated" */
export function busyError(name: string, what: string): AppError {
  return new AppError('busy', `“${name}” is ${what}. Wait until that is done.`, { subject: name })
}
