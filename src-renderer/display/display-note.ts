/** What is said where there is no picture, or under one that does not move. Pure. */
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { FollowStatus } from '../client/stream-follower.ts'

export interface DisplayNote {
  /** In place of the picture. */
  title: string
  text: string
  tone: 'info' | 'danger'
  action: 'start' | 'resume' | 'reconnect' | null
  /** The verb on the button, where there is an action. */
  label: string
}

const note = (
  title: string,
  text: string,
  action: DisplayNote['action'] = null,
  label = '',
  tone: DisplayNote['tone'] = 'info',
): DisplayNote => ({ title, text, tone, action, label })

/** Null while the picture is live and there is nothing to say. */
export function displayNote(machine: MachineView, status: FollowStatus): DisplayNote | null {
  if (status.kind === 'lost')
    return note(
      'The connection to Coppice was lost',
      'The screen comes back by itself when the connection does.',
      'reconnect',
      'Reconnect',
      'danger',
    )
  if (status.kind === 'failed') return note('The screen cannot be shown', status.error.message, 'reconnect', 'Try again', 'danger')
  switch (machine.state) {
    case 'off':
      if (machine.config?.template) return note('The machine is a template', 'It does not start. Make a new machine from it.')
      return note('The machine is off', 'Start it to see its screen.', 'start', 'Start')
    case 'crashed':
      // The page says why, above.
      return note('The machine has crashed', 'Start it to see its screen again.', 'start', 'Start', 'danger')
    case 'suspended':
      return note('The machine is suspended', 'Resume it to go on where it was.', 'resume', 'Resume')
    case 'paused':
      return note('The machine is paused', 'Its screen stands still, and it takes no keys. Resume it to go on.', 'resume', 'Resume')
    case 'suspending':
      return note('The machine is being suspended …', 'Its screen stands still meanwhile.')
    case 'starting':
      return note('The machine is starting …', 'Its screen appears as soon as it is switched on.')
    case 'resuming':
      return note('The machine is being resumed …', 'Its screen appears in a moment.')
    case 'broken':
      return note('This bundle cannot be read', machine.problem?.message ?? '', null, '', 'danger')
    default:
      return status.kind === 'ended'
        ? note('The screen has ended', 'The machine runs, but its screen was closed.', 'reconnect', 'Reconnect', 'danger')
        : null
  }
}
