import type { Icon } from '../ui/icon.ts'
import type { MenuAction } from '../ui/menu.ts'

/** Something a person can do: shown in toolbars, menus and the palette, and bound to its shortcut. One definition for all of them. */
export interface Action {
  /** Stable, for "recent" and tests: "machine.suspend". */
  id: string
  label: string
  icon: Icon
  shortcut?: string
  /** More words under which the palette finds it. */
  keywords?: string
  /** What the palette shows beside it: the machine's name, "Go to". */
  context?: string
  danger?: boolean
  /** Not possible now: left out of the palette, greyed in menus. */
  disabled?: boolean
  run: () => void
}

export function menuAction(action: Action, label = action.label): MenuAction {
  return {
    label,
    icon: action.icon,
    onselect: action.run,
    ...(action.shortcut === undefined ? {} : { shortcut: action.shortcut }),
    ...(action.danger ? { danger: true } : {}),
    ...(action.disabled ? { disabled: true } : {}),
  }
}
