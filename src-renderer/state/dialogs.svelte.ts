/** The one dialog that is open. Actions open it from anywhere; DialogHost shows it. */
import type { MachineView, NewMachineSource } from '../../src-shared/api/machines.ts'
import type { PacketsTarget } from '../../src-shared/api/networks.ts'
import type { SnapshotView } from '../../src-shared/model/snapshot.ts'
import type { RemovableDrive } from '../actions/machine-media.ts'

export type OpenDialog =
  | { kind: 'new-machine'; source: NewMachineSource['kind'] }
  | { kind: 'open-bundle' }
  | { kind: 'import' }
  | { kind: 'export'; machine: MachineView }
  | { kind: 'rename'; machine: MachineView }
  | { kind: 'duplicate'; machine: MachineView }
  | { kind: 'from-template'; machine: MachineView }
  | { kind: 'folder'; machine: MachineView }
  | { kind: 'tags'; machine: MachineView }
  | { kind: 'insert-media'; machine: MachineView; drive: RemovableDrive }
  | { kind: 'take-snapshot'; machine: MachineView }
  | { kind: 'restore-snapshot'; machine: MachineView; snapshot: SnapshotView }
  /** Ids of snapshots; null: the present state. */
  | { kind: 'compare-snapshots'; machine: MachineView; before: string | null; after: string | null }
  | { kind: 'clone-snapshot'; machine: MachineView; snapshot: SnapshotView }
  | { kind: 'rename-snapshot'; machine: MachineView; snapshot: SnapshotView }
  | { kind: 'automatic-snapshots'; machine: MachineView }
  | { kind: 'branch-trial'; machine: MachineView }
  /** `subtree`: with everything after it. */
  | { kind: 'delete-snapshot'; machine: MachineView; snapshot: SnapshotView; subtree: boolean }
  | { kind: 'new-network' }
  | { kind: 'new-router' }
  | { kind: 'network-settings'; network: string }
  | { kind: 'add-forward'; network: string }
  /** `what`: as people call it. */
  | { kind: 'save-capture'; target: PacketsTarget; what: string }
  | { kind: 'palette' }
  | { kind: 'shortcuts' }

export class Dialogs {
  open = $state.raw<OpenDialog | null>(null)

  show(dialog: OpenDialog): void {
    this.open = dialog
  }

  close(): void {
    this.open = null
  }
}
