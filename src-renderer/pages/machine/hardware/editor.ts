/** What every device editor gets. */
import type { LiveHardware, LiveKind } from '../../../../src-shared/model/live-hardware.ts'
import type { HardwareDraft } from './hardware-draft.svelte.ts'
import type { DeviceKey } from './hardware-form.ts'

/** A file or folder to be chosen. */
export interface Browse {
  title: string
  /** Absent: a file. */
  pick?: 'folder'
  /** What the button says that chooses; absent: "Choose". */
  action?: string
  /** Endings that are shown at first, with their dots. */
  extensions: readonly string[]
  /** A file whose folder to begin in. */
  near: string
  choose: (path: string) => void
}

export interface EditorProps {
  draft: HardwareDraft
  /** What is said at the fields now, by path in the config. */
  errors: Record<string, string>
  /** What can be changed only while the machine is off cannot be changed now. */
  disabled: boolean
  /** What can be changed now although it runs; null where it does not. */
  live: LiveHardware | null
  browse: (what: Browse) => void
  remove: (key: DeviceKey) => void
}

/** Whether this cannot be changed now. Why not stands in `live.why`, or at the head of the page. */
export function isLocked({ disabled, live }: Pick<EditorProps, 'disabled' | 'live'>, kind: LiveKind): boolean {
  return disabled && live?.why[kind] !== null
}
