/**
 * Keys that a terminal keeps for itself; every other key goes to the program in it. Pure. Control with a letter belongs to that program, so
 * the shortcuts take Shift as well, except on a Mac, where Command is free.
 */
import { isMac, matchesShortcut } from '../ui/shortcut.ts'

export type TerminalCommand = 'copy' | 'paste' | 'selectAll' | 'clear' | 'search' | 'fontLarger' | 'fontSmaller' | 'fontNormal'

/** For menus and tooltips. */
export const TERMINAL_SHORTCUTS = isMac()
  ? { copy: 'Mod+C', paste: 'Mod+V', search: 'Mod+F' }
  : { copy: 'Mod+Shift+C', paste: 'Mod+Shift+V', search: 'Mod+Shift+F' }

export const FONT_SHORTCUTS = { fontLarger: 'Mod+=', fontSmaller: 'Mod+-', fontNormal: 'Mod+0' } as const

/** The command that a key press means, null for the program's keys. */
export function terminalKey(event: KeyboardEvent, hasSelection: boolean, mac = isMac()): TerminalCommand | null {
  const letter = (key: string): boolean => matchesShortcut(event, mac ? `Mod+${key}` : `Mod+Shift+${key}`, mac)
  if (letter('C')) return mac && !hasSelection ? null : 'copy'
  if (letter('V')) return 'paste'
  if (letter('F')) return 'search'
  if (mac && letter('A')) return 'selectAll'
  if (mac && letter('K')) return 'clear'
  if (matchesShortcut(event, 'Mod+=', mac) || ((mac ? event.metaKey : event.ctrlKey) && !event.altKey && event.key === '+'))
    return 'fontLarger'
  if (matchesShortcut(event, 'Mod+-', mac)) return 'fontSmaller'
  if (matchesShortcut(event, 'Mod+0', mac)) return 'fontNormal'
  return null
}
