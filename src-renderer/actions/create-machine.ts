/** One click to a running Linux: creates Coppice Linux, starts it and opens its page. */
import { asAppError } from '../../src-shared/errors/app-error.ts'
import type { WindowState } from '../state/window-state.svelte.ts'
import { toastError } from '../ui/toasts.svelte.ts'
import { followTask, onMachine } from './machine-power.ts'

export async function createSample(state: WindowState): Promise<void> {
  try {
    const { name } = await state.host.machines.suggestName({ wish: 'Coppice Linux' })
    const { task } = await state.host.machines.create({
      name,
      source: { kind: 'sample' },
      memoryMiB: state.settings.current.defaultMemoryMiB,
    })
    await openWhenMade(state, task, true)
  } catch (error) {
    toastError(asAppError(error, 'Creating Coppice Linux'))
  }
}

/** Waits for the creation to end, then shows the machine, running if wanted. A creation that fails says so in the activity and here. */
export async function openWhenMade(state: WindowState, task: string, start: boolean): Promise<void> {
  const id = await followTask(state, task)
  if (id === null || id === '') return
  state.route.machine(id)
  const machine = state.library.get(id) ?? (await state.host.machines.get({ id }))
  if (start) await onMachine(state, machine, () => state.host.machines.start({ id }))
}
