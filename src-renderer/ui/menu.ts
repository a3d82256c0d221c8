import type { Icon } from './icon.ts'

/** One line of a menu. */
export interface MenuAction {
  label: string
  icon?: Icon
  shortcut?: string
  danger?: boolean
  disabled?: boolean
  /** A tick in front of it. */
  checked?: boolean
  onselect: () => void
}
export type MenuItem = MenuAction | 'separator'
