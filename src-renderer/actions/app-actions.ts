/** Everything that can be done in the window apart from one machine. */
import Activity from '@lucide/svelte/icons/activity'
import Bell from '@lucide/svelte/icons/bell'
import FolderOpen from '@lucide/svelte/icons/folder-open'
import Import from '@lucide/svelte/icons/import'
import Keyboard from '@lucide/svelte/icons/keyboard'
import ListFilter from '@lucide/svelte/icons/list-filter'
import ListTree from '@lucide/svelte/icons/list-tree'
import Network from '@lucide/svelte/icons/network'
import PanelLeft from '@lucide/svelte/icons/panel-left'
import Plus from '@lucide/svelte/icons/plus'
import Router from '@lucide/svelte/icons/router'
import Search from '@lucide/svelte/icons/search'
import Settings from '@lucide/svelte/icons/settings'
import Sprout from '@lucide/svelte/icons/sprout'
import SquareTerminal from '@lucide/svelte/icons/square-terminal'
import Stethoscope from '@lucide/svelte/icons/stethoscope'
import SunMoon from '@lucide/svelte/icons/sun-moon'
import { createSample } from './create-machine.ts'
import type { WindowState } from '../state/window-state.svelte.ts'
import { toastError } from '../ui/toasts.svelte.ts'
import type { Action } from './action.ts'

/** What only the shell's own parts can do. */
export interface ShellControls {
  focusFilter: () => void
  toggleSidebar: () => void
}

export type AppActions = Record<
  | 'newMachine'
  | 'sample'
  | 'openBundle'
  | 'importMachine'
  | 'newNetwork'
  | 'newRouter'
  | 'networks'
  | 'packets'
  | 'alerts'
  | 'activity'
  | 'doctor'
  | 'settings'
  | 'terminal'
  | 'palette'
  | 'shortcuts'
  | 'filter'
  | 'sidebar'
  | 'theme',
  Action
>

export function appActions(state: WindowState, shell: ShellControls): AppActions {
  const { dialogs, networks, route } = state
  return {
    newMachine: {
      id: 'app.new-machine',
      label: 'New machine…',
      icon: Plus,
      shortcut: 'Mod+Shift+M',
      keywords: 'create add iso disk kernel',
      run: () => dialogs.show({ kind: 'new-machine', source: 'sample' }),
    },
    sample: {
      id: 'app.sample',
      label: 'Create Coppice Linux',
      icon: Sprout,
      keywords: 'sample new machine try',
      run: () => void createSample(state),
    },
    openBundle: {
      id: 'app.open-bundle',
      label: 'Open bundle…',
      icon: FolderOpen,
      keywords: 'existing folder',
      run: () => dialogs.show({ kind: 'open-bundle' }),
    },
    importMachine: {
      id: 'app.import',
      label: 'Import…',
      icon: Import,
      keywords: 'ova ovf vmware virtualbox utm appliance archive convert',
      run: () => dialogs.show({ kind: 'import' }),
    },
    newNetwork: {
      id: 'app.new-network',
      label: 'New network…',
      icon: Network,
      keywords: 'create add nat host-only lan segment bridged switch',
      run: () => dialogs.show({ kind: 'new-network' }),
    },
    newRouter: {
      id: 'app.new-router',
      label: 'New router…',
      icon: Router,
      keywords: 'create add join networks',
      disabled: networks.all.length < 2,
      run: () => dialogs.show({ kind: 'new-router' }),
    },
    networks: {
      id: 'app.networks',
      label: 'Networks',
      icon: Network,
      context: 'Go to',
      keywords: 'map switch router nat dhcp dns forward capture packets traffic alerts',
      run: () => route.go({ page: 'networks', view: 'map', focus: null }),
    },
    packets: {
      id: 'app.packets',
      label: 'Packets of the networks',
      icon: ListTree,
      context: 'Go to',
      keywords: 'capture sniff analyser wireshark pcap flow traffic',
      run: () => route.go({ page: 'networks', view: 'packets', focus: null }),
    },
    alerts: {
      id: 'app.alerts',
      label: 'Alerts of the networks',
      icon: Bell,
      context: 'Go to',
      keywords: 'watch scan spoofing intrusion security',
      run: () => route.go({ page: 'networks', view: 'alerts', focus: null }),
    },
    activity: {
      id: 'app.activity',
      label: 'Activity',
      icon: Activity,
      context: 'Go to',
      keywords: 'tasks progress',
      run: () => route.go({ page: 'activity' }),
    },
    doctor: {
      id: 'app.doctor',
      label: 'Doctor',
      icon: Stethoscope,
      context: 'Go to',
      keywords: 'check diagnose health what can run',
      run: () => route.go({ page: 'doctor' }),
    },
    settings: {
      id: 'app.settings',
      label: 'Settings',
      icon: Settings,
      shortcut: 'Mod+,',
      context: 'Go to',
      keywords: 'preferences options theme font',
      run: () => route.go({ page: 'settings' }),
    },
    terminal: {
      id: 'app.terminal',
      label: 'Host terminal',
      icon: SquareTerminal,
      context: 'Go to',
      keywords: 'shell console',
      disabled: !state.info?.features.terminal,
      run: () => route.go({ page: 'terminal' }),
    },
    palette: { id: 'app.palette', label: 'All commands', icon: Search, shortcut: 'Mod+K', run: () => dialogs.show({ kind: 'palette' }) },
    shortcuts: {
      id: 'app.shortcuts',
      label: 'Keyboard shortcuts',
      icon: Keyboard,
      shortcut: '?',
      keywords: 'help keys',
      run: () => dialogs.show({ kind: 'shortcuts' }),
    },
    filter: {
      id: 'app.filter',
      label: 'Find a machine',
      icon: ListFilter,
      shortcut: 'Mod+Shift+L',
      keywords: 'search filter library',
      run: shell.focusFilter,
    },
    sidebar: {
      id: 'app.sidebar',
      label: 'Show or hide the sidebar',
      icon: PanelLeft,
      shortcut: 'Mod+Shift+B',
      keywords: 'toggle library',
      run: shell.toggleSidebar,
    },
    theme: {
      id: 'app.theme',
      label: 'Switch between light and dark',
      icon: SunMoon,
      keywords: 'theme appearance',
      run: () =>
        void state.settings.set({ theme: state.settings.theme === 'dark' ? 'light' : 'dark' }).catch((error: unknown) => toastError(error)),
    },
  }
}
