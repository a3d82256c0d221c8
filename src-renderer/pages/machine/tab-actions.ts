/** Going between the tabs of a machine's page. */
import ChartLine from '@lucide/svelte/icons/chart-line'
import Cpu from '@lucide/svelte/icons/cpu'
import GitFork from '@lucide/svelte/icons/git-fork'
import Monitor from '@lucide/svelte/icons/monitor'
import NotebookPen from '@lucide/svelte/icons/notebook-pen'
import ArrowLeft from '@lucide/svelte/icons/arrow-left'
import ArrowRight from '@lucide/svelte/icons/arrow-right'
import SquareTerminal from '@lucide/svelte/icons/square-terminal'
import type { MachineView } from '../../../src-shared/api/machines.ts'
import type { Action } from '../../actions/action.ts'
import { MACHINE_TABS, type MachineTab } from '../../state/place.ts'
import type { Route } from '../../state/route.svelte.ts'
import type { Icon } from '../../ui/icon.ts'
import { ownTab } from './display/own-tab.ts'

export const TAB_LOOKS: Record<MachineTab, { label: string; icon: Icon }> = {
  console: { label: 'Console', icon: SquareTerminal },
  display: { label: 'Display', icon: Monitor },
  snapshots: { label: 'Snapshots', icon: GitFork },
  metrics: { label: 'Metrics', icon: ChartLine },
  hardware: { label: 'Hardware', icon: Cpu },
  notes: { label: 'Notes', icon: NotebookPen },
}

/** @param machine the one on the page */
export function goToTabActions(route: Route, machine: MachineView): Action[] {
  const { place } = route
  if (place.page !== 'machine') return []
  const shown = place.tab ?? ownTab(machine)
  const step = (by: number): void => {
    const at = (MACHINE_TABS.indexOf(shown) + by + MACHINE_TABS.length) % MACHINE_TABS.length
    route.machine(place.id, MACHINE_TABS[at])
  }
  return [
    ...MACHINE_TABS.map((tab) => ({
      id: `tab.${tab}`,
      label: TAB_LOOKS[tab].label,
      icon: TAB_LOOKS[tab].icon,
      context: 'Tab',
      run: () => route.machine(place.id, tab),
    })),
    { id: 'tab.next', label: 'Next tab', icon: ArrowRight, context: 'Tab', shortcut: 'Mod+Shift+]', run: () => step(1) },
    { id: 'tab.previous', label: 'Previous tab', icon: ArrowLeft, context: 'Tab', shortcut: 'Mod+Shift+[', run: () => step(-1) },
  ]
}
