/** What can be done with one snapshot. */
import ArrowLeftRight from '@lucide/svelte/icons/arrow-left-right'
import CopyPlus from '@lucide/svelte/icons/copy-plus'
import Eraser from '@lucide/svelte/icons/eraser'
import NotebookPen from '@lucide/svelte/icons/notebook-pen'
import Pencil from '@lucide/svelte/icons/pencil'
import Pin from '@lucide/svelte/icons/pin'
import PinOff from '@lucide/svelte/icons/pin-off'
import Trash2 from '@lucide/svelte/icons/trash-2'
import Undo2 from '@lucide/svelte/icons/undo-2'
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import type { TaskStarted } from '../../../../src-shared/api/tasks.ts'
import { isActive } from '../../../../src-shared/model/machine-state.ts'
import type { SnapshotTree, SnapshotView } from '../../../../src-shared/model/snapshot.ts'
import { menuAction, type Action } from '../../../actions/action.ts'
import { followTask, onMachine } from '../../../actions/machine-power.ts'
import { isSnapshotTask } from '../../../state/snapshots.svelte.ts'
import type { WindowState } from '../../../state/window-state.svelte.ts'
import type { MenuItem } from '../../../ui/menu.ts'
import { laterThan, leadsHere } from './snapshot-words.ts'

export interface SnapshotActions {
  restore: Action
  clone: Action
  compare: Action
  rename: Action
  note: Action
  pin: Action
  remove: Action
  /** Null where nothing came from it. */
  removeSubtree: Action | null
}

/** @param editNote puts the cursor into its note */
export function snapshotActions(
  win: WindowState,
  machine: MachineView,
  tree: SnapshotTree,
  snapshot: SnapshotView,
  editNote: () => void,
): SnapshotActions {
  const { dialogs } = win
  // One change of the tree at a time.
  const busy = win.taskList.running.some((task) => isSnapshotTask(task, machine.id))
  const given = { machine, snapshot }
  return {
    restore: {
      id: 'snapshot.restore',
      label: 'Restore…',
      icon: Undo2,
      shortcut: 'Mod+Enter',
      disabled: busy || machine.config?.template === true,
      run: () => dialogs.show({ kind: 'restore-snapshot', ...given }),
    },
    clone: {
      id: 'snapshot.clone',
      label: 'Clone…',
      icon: CopyPlus,
      disabled: busy,
      run: () => dialogs.show({ kind: 'clone-snapshot', ...given }),
    },
    compare: {
      id: 'snapshot.compare',
      label: 'Compare with…',
      icon: ArrowLeftRight,
      run: () => dialogs.show({ kind: 'compare-snapshots', machine, before: snapshot.id, after: comparedWith(machine, tree, snapshot.id) }),
    },
    rename: {
      id: 'snapshot.rename',
      label: 'Rename…',
      icon: Pencil,
      shortcut: 'F2',
      run: () => dialogs.show({ kind: 'rename-snapshot', ...given }),
    },
    note: { id: 'snapshot.note', label: 'Edit note', icon: NotebookPen, run: editNote },
    pin: {
      id: 'snapshot.pin',
      label: snapshot.pinned ? 'Unpin' : 'Pin',
      icon: snapshot.pinned ? PinOff : Pin,
      run: () =>
        void onMachine(win, machine, () =>
          win.host.snapshots.update({ machine: machine.id, snapshot: snapshot.id, pinned: !snapshot.pinned }),
        ),
    },
    remove: {
      id: 'snapshot.delete',
      label: 'Delete…',
      icon: Trash2,
      shortcut: 'Delete',
      danger: true,
      disabled: busy,
      run: () => dialogs.show({ kind: 'delete-snapshot', ...given, subtree: false }),
    },
    removeSubtree:
      laterThan(snapshot.id, tree.snapshots).length === 0
        ? null
        : {
            id: 'snapshot.delete-subtree',
            label: 'Delete with everything after it…',
            icon: Eraser,
            danger: true,
            disabled: busy || leadsHere(snapshot.id, tree),
            run: () => dialogs.show({ kind: 'delete-snapshot', ...given, subtree: true }),
          },
  }
}

/** What a snapshot is compared with first: the present state; of a machine that runs another snapshot, the one that came last. */
function comparedWith({ state }: MachineView, { snapshots }: SnapshotTree, id: string): string | null {
  if (!isActive(state)) return null
  return snapshots.findLast((other) => other.id !== id)?.id ?? id
}

/** The menu of a snapshot. */
export function snapshotMenu(machine: MachineView, actions: SnapshotActions, tree: SnapshotTree, snapshot: SnapshotView): MenuItem[] {
  const { removeSubtree } = actions
  return [
    menuAction(actions.restore),
    menuAction(actions.clone),
    menuAction(actions.compare),
    'separator',
    menuAction(actions.rename),
    menuAction(actions.note),
    menuAction(actions.pin),
    'separator',
    menuAction(actions.remove),
    ...(removeSubtree
      ? [
          {
            ...menuAction(removeSubtree),
            ...(leadsHere(snapshot.id, tree) ? { detail: `What “${machine.name}” is now came from it.` } : {}),
          },
        ]
      : []),
  ]
}

/** Follows what a dialog started, after it has closed: a failure is shown at the machine. */
export function followInBackground(win: WindowState, machine: MachineView, started: TaskStarted): void {
  void onMachine(win, machine, () => followTask(win, started.task))
}
