/** What every device editor gets. */
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
  disabled: boolean
  browse: (what: Browse) => void
  remove: (key: DeviceKey) => void
}
