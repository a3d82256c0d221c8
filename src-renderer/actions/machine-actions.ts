/** Everything that can be done to one machine. */
import CalendarClock from '@lucide/svelte/icons/calendar-clock'
import Camera from '@lucide/svelte/icons/camera'
import Copy from '@lucide/svelte/icons/copy'
import CopyPlus from '@lucide/svelte/icons/copy-plus'
import Eraser from '@lucide/svelte/icons/eraser'
import CopyCheck from '@lucide/svelte/icons/copy-check'
import FlaskConical from '@lucide/svelte/icons/flask-conical'
import FlaskConicalOff from '@lucide/svelte/icons/flask-conical-off'
import FolderInput from '@lucide/svelte/icons/folder-input'
import LayoutTemplate from '@lucide/svelte/icons/layout-template'
import ListX from '@lucide/svelte/icons/list-x'
import Moon from '@lucide/svelte/icons/moon'
import Pause from '@lucide/svelte/icons/pause'
import Pencil from '@lucide/svelte/icons/pencil'
import Play from '@lucide/svelte/icons/play'
import Power from '@lucide/svelte/icons/power'
import RotateCcw from '@lucide/svelte/icons/rotate-ccw'
import Share from '@lucide/svelte/icons/share'
import Tag from '@lucide/svelte/icons/tag'
import Trash2 from '@lucide/svelte/icons/trash-2'
import Unplug from '@lucide/svelte/icons/unplug'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { isActive, isEditable, isLegal, type PowerAction } from '../../src-shared/model/machine-state.ts'
import { dependentWords, type Dependent } from '../../src-shared/model/dependent.ts'
import type { WindowState } from '../state/window-state.svelte.ts'
import type { Icon } from '../ui/icon.ts'
import { ask, type Question } from '../ui/ask.svelte.ts'
import { toast } from '../ui/toasts.svelte.ts'
import type { Action } from './action.ts'
import { onMachine, power } from './machine-power.ts'
import { startTrial } from './machine-trial.ts'

export interface MachineActions {
  /** Starts, or goes on, whichever the state asks for. */
  start: Action
  /** Starts it on a trial: what it does is discarded at its end, or decided about then. */
  startDiscard: Action
  startDecide: Action
  pause: Action
  suspend: Action
  shutDown: Action
  powerOff: Action
  reset: Action
  discard: Action
  /** When snapshots are taken by themselves, and what becomes of runs. */
  automatic: Action
  snapshot: Action
  rename: Action
  duplicate: Action
  /** Of a template. */
  newFrom: Action
  /** Makes it a template, or an ordinary machine again. */
  template: Action
  export: Action
  folder: Action
  tags: Action
  copyPath: Action
  /** The bundle to the trash; for one that was opened from elsewhere, off the list. */
  remove: Action
}

export function machineActions(state: WindowState, machine: MachineView): MachineActions {
  const readable = machine.config !== null
  const make = (id: string, label: string, icon: Icon, run: () => void, more: Partial<Action> = {}): Action => ({
    id: `machine.${id}`,
    label,
    icon,
    context: machine.name,
    run,
    ...more,
  })
  const isTemplate = machine.config?.template === true
  const onPower = (action: PowerAction, label: string, icon: Icon, more: Partial<Action> = {}): Action =>
    make(action, label, icon, () => void power(state, machine, action), {
      disabled: isTemplate || !isLegal(action, machine.state),
      ...more,
    })

  // One whose last run is not dealt with goes on with that.
  const canTry = !isTemplate && readable && isLegal('start', machine.state) && machine.config!.run === null
  const goesOn = machine.state === 'paused' || machine.state === 'suspended'
  return {
    start: onPower(goesOn ? 'resume' : 'start', goesOn ? 'Resume' : 'Start', Play, {
      shortcut: 'Mod+Shift+Enter',
      keywords: 'boot run power on',
    }),
    startDiscard: make('start-discard', 'Start, discard afterwards', FlaskConicalOff, () => startTrial(state, machine, 'discard'), {
      keywords: 'trial try temporary throw away revert nonpersistent',
      disabled: !canTry,
    }),
    startDecide: make('start-decide', 'Start, decide afterwards', FlaskConical, () => startTrial(state, machine, 'decide'), {
      keywords: 'trial try keep discard branch ask',
      disabled: !canTry,
    }),
    pause: onPower('pause', 'Pause', Pause, { keywords: 'freeze stop' }),
    suspend: onPower('suspend', 'Suspend', Moon, { shortcut: 'Mod+Shift+U', keywords: 'save state hibernate sleep' }),
    shutDown: onPower('powerButton', 'Shut down', Power, { shortcut: 'Mod+Shift+D', keywords: 'stop acpi power button halt' }),
    powerOff: onPower('powerOff', 'Power off…', Unplug, { danger: true, keywords: 'kill force stop plug' }),
    reset: onPower('reset', 'Reset…', RotateCcw, { danger: true, keywords: 'reboot restart' }),
    discard: onPower('discardSuspend', 'Discard suspended state…', Eraser, { danger: true, keywords: 'forget throw away' }),
    automatic: make(
      'automatic-snapshots',
      'Automatic snapshots…',
      CalendarClock,
      () => state.dialogs.show({ kind: 'automatic-snapshots', machine }),
      { keywords: 'schedule thinning budget backup revert power off trial', disabled: !readable || isTemplate },
    ),
    snapshot: make('snapshot', 'Take snapshot…', Camera, () => state.dialogs.show({ kind: 'take-snapshot', machine }), {
      shortcut: 'Mod+Shift+S',
      keywords: 'freeze keep state checkpoint',
      disabled: !readable,
    }),
    rename: make('rename', 'Rename…', Pencil, () => state.dialogs.show({ kind: 'rename', machine }), {
      shortcut: 'F2',
      disabled: !readable,
    }),
    duplicate: make('duplicate', 'Duplicate…', CopyPlus, () => state.dialogs.show({ kind: 'duplicate', machine }), {
      keywords: 'clone copy',
      disabled: !readable || isActive(machine.state),
    }),
    export: make('export', 'Export…', Share, () => state.dialogs.show({ kind: 'export', machine }), {
      keywords: 'ova save archive backup virtualbox vmware',
      disabled: !readable,
    }),
    newFrom: make('new-from', 'New machine from it…', CopyPlus, () => state.dialogs.show({ kind: 'from-template', machine }), {
      keywords: 'clone template instantiate create',
      disabled: !isTemplate,
    }),
    template: make(
      'template',
      isTemplate ? 'Make it an ordinary machine' : 'Make it a template',
      isTemplate ? CopyCheck : LayoutTemplate,
      () => void setTemplate(state, machine, !isTemplate),
      { keywords: 'golden clone', disabled: !readable || !isEditable(machine.state) },
    ),
    folder: make('folder', 'Move to folder…', FolderInput, () => state.dialogs.show({ kind: 'folder', machine }), { disabled: !readable }),
    tags: make('tags', 'Tags…', Tag, () => state.dialogs.show({ kind: 'tags', machine }), { keywords: 'label', disabled: !readable }),
    copyPath: make('copy-path', 'Copy bundle path', Copy, () => void copyPath(machine), { keywords: 'show folder location' }),
    remove: machine.inLibrary
      ? make('trash', 'Move to trash', Trash2, () => void trash(state, machine), {
          danger: true,
          shortcut: 'Delete',
          keywords: 'delete remove',
          disabled: isActive(machine.state),
        })
      : make('forget', 'Remove from the list', ListX, () => void forget(state, machine), {
          shortcut: 'Delete',
          keywords: 'forget close bundle',
          disabled: isActive(machine.state),
        }),
  }
}

async function copyPath(machine: MachineView): Promise<void> {
  await navigator.clipboard.writeText(machine.bundle)
  toast({ text: `Copied ${machine.bundle}`, tone: 'ok' })
}

async function setTemplate(state: WindowState, machine: MachineView, template: boolean): Promise<void> {
  await onMachine(state, machine, async () => {
    await state.host.machines.update({ id: machine.id, patch: { template } })
    toast({
      text: template
        ? `“${machine.name}” is a template now: it does not start, and machines are made from it.`
        : `“${machine.name}” is an ordinary machine again.`,
      tone: 'ok',
    })
  })
}

/** Without a question, unless other machines need its files: the toast's "Undo" is the way back, and the trash after it. */
async function trash(state: WindowState, machine: MachineView): Promise<void> {
  await onMachine(state, machine, async () => {
    const dependents = await state.host.machines.dependents({ id: machine.id })
    if (dependents.length > 0 && !(await ask(questionOf(machine, dependents)))) return
    const { trashedTo } = await state.host.machines.trash({ id: machine.id, needed: dependents.length > 0 })
    leave(state, machine)
    toast({
      text: `Moved “${machine.name}” to the trash.`,
      action: { label: 'Undo', run: () => void restore(state, machine, trashedTo) },
    })
  })
}

function questionOf({ name }: MachineView, dependents: readonly Dependent[]): Question {
  return {
    title: `Move “${name}” to the trash, although others need it?`,
    text: `Without its files their disks are gone or incomplete, until it is put back. ${dependents.map(dependentWords).join('. ')}.`,
    action: 'Move to trash',
    danger: true,
  }
}

/** The page of a machine that is gone shows nothing worth staying for. */
function leave(state: WindowState, machine: MachineView): void {
  const { place } = state.route
  if (place.page === 'machine' && place.id === machine.id) state.route.replace({ page: 'home' })
}

async function restore(state: WindowState, machine: MachineView, trashedTo: string): Promise<void> {
  await onMachine(state, machine, async () => {
    const back = await state.host.machines.restore({ trashedTo })
    state.route.machine(back.id)
  })
}

async function forget(state: WindowState, machine: MachineView): Promise<void> {
  await onMachine(state, machine, async () => {
    await state.host.machines.forget({ id: machine.id })
    leave(state, machine)
    toast({
      text: `“${machine.name}” is off the list. Its files stay in ${machine.bundle}.`,
      action: { label: 'Undo', run: () => void onMachine(state, machine, () => state.host.machines.open({ bundle: machine.bundle })) },
    })
  })
}
