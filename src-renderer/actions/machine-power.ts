/**
 * What the window does to a machine's power, with the questions before loss and the errors kept at the machine. Which of it is
 * legal when stands in machine-state.ts.
 */
import type { MachineView } from '../../src-shared/api/machines.ts'
import { AppError, asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import type { PowerAction } from '../../src-shared/model/machine-state.ts'
import type { WindowState } from '../state/window-state.svelte.ts'
import { ask, type Question } from '../ui/ask.svelte.ts'
import { toastError } from '../ui/toasts.svelte.ts'

/** Runs one piece of work on a machine. What fails is shown on the machine's page, and as a toast where that page is not open. */
export async function onMachine(state: WindowState, machine: MachineView, work: () => Promise<unknown>): Promise<boolean> {
  state.library.actionErrors.delete(machine.id)
  try {
    await work()
    return true
  } catch (error) {
    report(state, machine, asAppError(error).toWire())
    return false
  }
}

function report(state: WindowState, machine: MachineView, error: WireError): void {
  if (error.code === 'cancelled') return
  state.library.actionErrors.set(machine.id, error)
  if (!state.route.shows(machine.id)) toastError(AppError.fromWire(error))
}

/** Follows a task that works on a machine. @returns the id that it made, if any; null when it failed or was cancelled */
export async function followTask(state: WindowState, task: string): Promise<string | null> {
  const ended = await state.taskList.whenEnded(task)
  if (ended.state === 'failed' && ended.error) throw AppError.fromWire(ended.error)
  return ended.state === 'done' ? (ended.result?.id ?? '') : null
}

export async function power(state: WindowState, machine: MachineView, action: PowerAction): Promise<void> {
  const question = questionBefore(action, machine)
  if (question && !(await ask(question))) return
  const { machines } = state.host
  const input = { id: machine.id }
  await onMachine(state, machine, async () => {
    if (action === 'suspend') await followTask(state, (await machines.suspend(input)).task)
    else await machines[action](input)
  })
}

/** What would be lost, as a question; null where nothing is. */
export function questionBefore(action: PowerAction, machine: MachineView): Question | null {
  const name = `“${machine.name}”`
  switch (action) {
    case 'powerOff':
      // A machine that is only starting has nothing to lose yet.
      if (machine.state === 'starting') return null
      return {
        title: `Power off ${name}?`,
        text: 'This is like pulling the plug: its programs end without saving, and what the guest has not yet written to its disks is lost. To let the guest end by itself, choose “Shut down” instead.',
        action: 'Power off',
        danger: true,
      }
    case 'reset':
      return {
        title: `Reset ${name}?`,
        text: 'The machine restarts at once, as with a reset button: its programs end without saving, and what the guest has not yet written to its disks is lost.',
        action: 'Reset',
        danger: true,
      }
    case 'discardSuspend':
      return {
        title: `Discard the suspended state of ${name}?`,
        text: 'Its running programs and everything unsaved in them are lost for good, as after a power cut. Its disks stay as they are.',
        action: 'Discard state',
        danger: true,
      }
    default:
      return null
  }
}
