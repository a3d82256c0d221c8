/** CDs and floppies: inserting and ejecting, whether the machine runs or is off. */
import CdIcon from '@lucide/svelte/icons/disc-3'
import EjectIcon from '@lucide/svelte/icons/eject'
import FloppyIcon from '@lucide/svelte/icons/save'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { Drive } from '../../src-shared/model/machine.ts'
import { isEditable } from '../../src-shared/model/machine-state.ts'
import type { WindowState } from '../state/window-state.svelte.ts'
import { toast } from '../ui/toasts.svelte.ts'
import type { Action } from './action.ts'
import { onMachine } from './machine-power.ts'

export interface RemovableDrive extends Omit<Drive, 'kind'> {
  kind: 'cdrom' | 'floppy'
}

export const MEDIA_WORDS = {
  cdrom: { what: 'CD', drive: 'CD drive', extensions: ['.iso'] },
  floppy: { what: 'floppy', drive: 'Floppy drive', extensions: ['.img', '.ima', '.flp'] },
} as const

/** The machine's drives for removable media. */
export function removableDrives({ config }: Pick<MachineView, 'config'>): RemovableDrive[] {
  return (config?.drives ?? []).filter((drive): drive is RemovableDrive => drive.kind !== 'disk')
}

/** Why nothing can be inserted or ejected now, as a sentence; null where it can. Pure. */
export function whyNoMedia(machine: Pick<MachineView, 'state' | 'live'>, kind: RemovableDrive['kind']): string | null {
  if (isEditable(machine.state)) return null
  if (machine.live) return machine.live.why[kind]
  return machine.state === 'suspended' ? 'The machine is suspended. Resume it first.' : 'Not while the machine changes its state.'
}

/** What can be done with each of its drives: insert (in place of what is in it), and eject. */
export function mediaActions(state: WindowState, machine: MachineView): Action[] {
  const drives = removableDrives(machine)
  return drives.flatMap((drive) => {
    const { what } = MEDIA_WORDS[drive.kind]
    const alike = drives.filter(({ kind }) => kind === drive.kind)
    const number = alike.length > 1 ? ` ${alike.indexOf(drive) + 1}` : ''
    const disabled = whyNoMedia(machine, drive.kind) !== null
    const common = { context: machine.name, disabled }
    const insert: Action = {
      ...common,
      id: `machine.insert-${drive.id}`,
      label: `${drive.path === null ? 'Insert' : 'Change'} ${what}${number}…`,
      icon: drive.kind === 'cdrom' ? CdIcon : FloppyIcon,
      keywords: 'cd dvd iso image media disc load',
      run: () => state.dialogs.show({ kind: 'insert-media', machine, drive }),
    }
    if (drive.path === null) return [insert]
    const eject: Action = {
      ...common,
      id: `machine.eject-${drive.id}`,
      label: `Eject ${fileName(drive.path)}`,
      icon: EjectIcon,
      keywords: `cd dvd iso media disc ${what} drive${number}`,
      run: () => void ejectMedia(state, machine, drive),
    }
    return [insert, eject]
  })
}

/** @throws AppError why it cannot be inserted */
export async function insertMedia(state: WindowState, machine: MachineView, drive: RemovableDrive, path: string): Promise<void> {
  await state.host.machines.update({ id: machine.id, patch: { drives: withPath(state, machine, drive, path) } })
  toast({ text: `Inserted ${fileName(path)} into “${machine.name}”.`, tone: 'ok' })
}

async function ejectMedia(state: WindowState, machine: MachineView, drive: RemovableDrive): Promise<void> {
  await onMachine(state, machine, async () => {
    await state.host.machines.update({ id: machine.id, patch: { drives: withPath(state, machine, drive, null) } })
  })
}

/** The drives as they are now: a dialog may have been open for long. */
function withPath(state: WindowState, machine: MachineView, drive: RemovableDrive, path: string | null): Drive[] {
  const { config } = state.library.get(machine.id) ?? machine
  return (config?.drives ?? []).map((one) => (one.id === drive.id ? { ...one, path } : one))
}

function fileName(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? path
}
