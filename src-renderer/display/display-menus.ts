/** The menus over a machine's screen. */
import type { MenuItem } from '../ui/menu.ts'
import type { DisplayControl } from './display-control.svelte.ts'
import { COMMON, KEPT_HERE, SYSRQ, TERMINALS, type Combination } from './key-combinations.ts'

export function keysMenu(control: DisplayControl): MenuItem[] {
  const item = (combination: Combination): MenuItem => ({
    label: combination.purpose === undefined ? combination.label : `${combination.label}: ${combination.purpose}`,
    onselect: () => control.send(combination),
  })
  return [
    ...COMMON.map(item),
    'separator',
    { label: 'Kept by this window', items: KEPT_HERE.map(item) },
    { label: 'Linux terminals', items: TERMINALS.map(item) },
    { label: 'Linux SysRq', items: SYSRQ.map(item) },
  ]
}

/** @param share opens the dialog that offers the screen to VNC viewers */
export function viewMenu(control: DisplayControl, live: boolean, share: () => void): MenuItem[] {
  return [
    {
      label: 'View only',
      checked: control.viewOnly,
      onselect: () => (control.viewOnly = !control.viewOnly),
    },
    {
      label: live && !control.view.resizable ? 'The guest’s resolution cannot be set from here' : 'Guest takes the window’s size',
      checked: control.resizesGuest && control.view.resizable,
      disabled: !live || !control.view.resizable,
      onselect: () => (control.resizesGuest = !control.resizesGuest),
    },
    'separator',
    { label: 'Share by VNC…', onselect: share },
  ]
}
