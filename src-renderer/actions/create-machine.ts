/** One click to a running Linux: creates Coppice Linux, starts it and opens its page. */
import { asAppError } from '../../src-shared/errors/app-error.ts'
import type { WindowState } from '../state/window-state.svelte.ts'
import { toastError } from '../ui/toasts.svelte.ts'
import { followTask } from './machine-power.ts'

export async function createSample(state: WindowState): Promise<void> {
  try {
    const { name } = await state.host.machines.suggestName({ wish: 'Coppice Linux' })
    const { task } = await state.host.machines.create({
      name,
      source: { kind: 'sample' },
      memoryMiB: state.settings.current.defaultMemoryMiB,
      start: true,
    })
    await openWhenMade(state, task)
  } catch (error) {
    toastError(asAppError(error, 'Creating Coppice Linux'))
  }
}

/** Waits for the creation to end, then shows the machine. A creation that fails says so in the activity and here. */
export async function openWhenMade(state: WindowState, task: string): Promise<void> {
  const id = await followTask(state, task)
  if (id !== null && id !== '') state.route.machine(id)
}
