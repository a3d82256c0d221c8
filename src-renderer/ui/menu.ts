import type { Icon } from './icon.ts'

/** One line of a menu. */
export interface MenuAction {
  label: string
  /** A second line: why it is disabled, for example. */
  detail?: string
  icon?: Icon
  shortcut?: string
  danger?: boolean
  disabled?: boolean
  /** A tick in front of it. */
  checked?: boolean
  onselect: () => void
}
/** A menu in a menu. */
export interface MenuGroup {
  label: string
  icon?: Icon
  disabled?: boolean
  items: MenuItem[]
}
export type MenuItem = MenuAction | MenuGroup | 'separator'
