/** What is said under the console when it is not simply live. Pure. */
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import type { FollowStatus } from '../../../client/stream-follower.ts'

export interface ConsoleNote {
  text: string
  tone: 'info' | 'danger'
  action: 'start' | 'resume' | 'reconnect' | null
  /** The verb on the button, where there is an action. */
  label: string
}

/** The line under the console; null while it is live and there is nothing to say. */
export function consoleNote(machine: MachineView, status: FollowStatus): ConsoleNote | null {
  if (status.kind === 'lost')
    return {
      text: 'The connection to Coppice was lost. The console goes on where it stopped when it is back.',
      tone: 'danger',
      action: 'reconnect',
      label: 'Reconnect',
    }
  if (status.kind === 'failed') return { text: status.error.message, tone: 'danger', action: 'reconnect', label: 'Try again' }
  switch (machine.state) {
    case 'off':
      if (machine.config?.template)
        return { text: 'The machine is a template, and does not start. Make a new machine from it.', tone: 'info', action: null, label: '' }
      return { text: 'The machine is off. Start it to use the console.', tone: 'info', action: 'start', label: 'Start' }
    case 'crashed':
      // The page says why, above.
      return { text: 'The machine has crashed. What it printed last is kept here.', tone: 'danger', action: 'start', label: 'Start' }
    case 'suspended':
      return { text: 'The machine is suspended. Resume it to go on where it was.', tone: 'info', action: 'resume', label: 'Resume' }
    case 'paused':
      return {
        text: 'The machine is paused. What you type reaches it when it is resumed.',
        tone: 'info',
        action: 'resume',
        label: 'Resume',
      }
    case 'suspending':
      return { text: 'The machine is being suspended …', tone: 'info', action: null, label: '' }
    case 'broken':
      return { text: machine.problem?.message ?? 'This bundle cannot be read.', tone: 'danger', action: null, label: '' }
    default:
      return status.kind === 'ended' && machine.state === 'running'
        ? { text: 'The console has ended though the machine runs.', tone: 'danger', action: 'reconnect', label: 'Reconnect' }
        : null
  }
}
