/**
 * The life of a machine and what is legal when. One table, used by the host (to refuse), the window (to enable buttons) and the
 * command line.
 */
export const MACHINE_STATES = [
  'off',
  'starting',
  'running',
  'paused',
  'suspending',
  'suspended',
  'resuming',
  'stopping',
  'crashed',
  'broken',
] as const
/**
 * `crashed`: its engine died; it can be started again. `broken`: its bundle cannot be read. `suspended`: memory state is in the
 * bundle, nothing runs.
 */
export type MachineState = (typeof MACHINE_STATES)[number]

/** What the watchdog says of a running guest. */
export type MachineHealth =
  | 'working' // executes and answers interrupts
  | 'idle' // halted most of the time
  | 'spinning' // full speed with no sign of progress: dead guest, bad firmware
  | 'stuck' // the engine's thread does not answer

export const POWER_ACTIONS = ['start', 'pause', 'resume', 'powerButton', 'powerOff', 'reset', 'suspend', 'discardSuspend'] as const
export type PowerAction = (typeof POWER_ACTIONS)[number]

const LEGAL: Record<PowerAction, readonly MachineState[]> = {
  start: ['off', 'suspended', 'crashed'],
  pause: ['running'],
  resume: ['paused', 'suspended'],
  // Again while it stops: a guest may not have heard the first press.
  powerButton: ['running', 'stopping'],
  powerOff: ['running', 'paused', 'starting', 'resuming', 'stopping'],
  reset: ['running', 'paused'],
  suspend: ['running', 'paused'],
  discardSuspend: ['suspended'],
}

export function isLegal(action: PowerAction, state: MachineState): boolean {
  return LEGAL[action].includes(state)
}

/** True while an engine runs it: its bundle's hardware cannot be edited. */
export function isActive(state: MachineState): boolean {
  return !['off', 'suspended', 'crashed', 'broken'].includes(state)
}

/** True when hardware may be edited and the bundle duplicated, renamed on disk or removed. */
export function isEditable(state: MachineState): boolean {
  return state === 'off' || state === 'crashed'
}

/** The word shown to people. */
export const STATE_WORDS: Record<MachineState, string> = {
  off: 'Off',
  starting: 'Starting',
  running: 'Running',
  paused: 'Paused',
  suspending: 'Suspending',
  suspended: 'Suspended',
  resuming: 'Resuming',
  stopping: 'Shutting down',
  crashed: 'Crashed',
  broken: 'Unreadable',
}
