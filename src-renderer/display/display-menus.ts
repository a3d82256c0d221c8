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

/** Why a guest that was told the window's size may stay as it is. */
export const WHY_KEPT = 'It follows once a desktop with a driver for its graphics card runs.'

interface ViewActions {
  /** Offers the screen to VNC viewers. */
  share: () => void
  /** Makes the guest follow the window's size, or lets it be. */
  follow: () => void
}

export function viewMenu(control: DisplayControl, live: boolean, { share, follow }: ViewActions): MenuItem[] {
  const { resizable, keepsSize } = control.view
  const follows = control.resizesGuest && resizable
  const detail = live && !resizable ? 'This machine’s graphics card cannot be told a size.' : follows && keepsSize ? WHY_KEPT : null
  return [
    {
      label: 'View only',
      checked: control.viewOnly,
      onselect: () => (control.viewOnly = !control.viewOnly),
    },
    {
      label: 'Guest takes the window’s size',
      ...(detail === null ? {} : { detail }),
      checked: follows,
      disabled: !live || !resizable,
      onselect: follow,
    },
    'separator',
    { label: 'Share by VNC…', onselect: share },
  ]
}
