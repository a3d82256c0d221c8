/** Trials of a machine: starting one, and saying what becomes of what it did. */
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { RunEnd } from '../../src-shared/model/run.ts'
import type { WindowState } from '../state/window-state.svelte.ts'
import { ask } from '../ui/ask.svelte.ts'
import { followTask, onMachine } from './machine-power.ts'

export function startTrial(state: WindowState, machine: MachineView, end: RunEnd): void {
  void onMachine(state, machine, () => state.host.machines.start({ id: machine.id, end }))
}

export async function keepTrial(state: WindowState, machine: MachineView): Promise<void> {
  await decide(state, machine, { decision: 'keep' })
}

export async function discardTrial(state: WindowState, machine: MachineView): Promise<void> {
  const wanted = await ask({
    title: `Discard what “${machine.name}” did?`,
    text: 'Its disks go back to what they were before the run. Everything that was written since is lost for good, apart from snapshots that you took.',
    action: 'Discard',
    danger: true,
  })
  if (wanted) await decide(state, machine, { decision: 'discard' })
}

export async function branchTrial(state: WindowState, machine: MachineView, label: string): Promise<void> {
  await decide(state, machine, { decision: 'branch', label })
}

async function decide(
  state: WindowState,
  { id: machine, ...rest }: MachineView,
  decision: { decision: 'keep' | 'discard' } | { decision: 'branch'; label: string },
): Promise<void> {
  await onMachine(state, { id: machine, ...rest }, async () => {
    await followTask(state, (await state.host.snapshots.decide({ machine, ...decision })).task)
  })
}
