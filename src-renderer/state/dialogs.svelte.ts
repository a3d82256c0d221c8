/** The one dialog that is open. Actions open it from anywhere; DialogHost shows it. */
import type { MachineView, NewMachineSource } from '../../src-shared/api/machines.ts'
import type { RemovableDrive } from '../actions/machine-media.ts'

export type OpenDialog =
  | { kind: 'new-machine'; source: NewMachineSource['kind'] }
  | { kind: 'open-bundle' }
  | { kind: 'rename'; machine: MachineView }
  | { kind: 'duplicate'; machine: MachineView }
  | { kind: 'folder'; machine: MachineView }
  | { kind: 'tags'; machine: MachineView }
  | { kind: 'insert-media'; machine: MachineView; drive: RemovableDrive }
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
