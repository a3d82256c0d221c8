/** The window's shortcuts. They come before whatever has the focus, but never take a key that somebody is typing. */
import type { Action } from '../actions/action.ts'
import { matchesShortcut } from '../ui/shortcut.ts'

/** True where keys make text: fields, consoles, which type through a hidden field, and screens of machines. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select, [data-keys=guest]'))
}

/** Keys that the part of the page with the focus has a meaning of its own for: `data-own-keys="F2 Delete"`. */
function hasOwnMeaning(target: EventTarget | null, shortcut: string): boolean {
  const owner = target instanceof Element ? target.closest<HTMLElement>('[data-own-keys]') : null
  return owner?.dataset['ownKeys']?.split(' ').includes(shortcut) ?? false
}

/**
 * @param actions what may be run now, in order of precedence
 * @param blocked true while a dialog is open: it has the keyboard to itself
 * @returns true when the key was taken
 */
export function runShortcut(event: KeyboardEvent, actions: readonly Action[], blocked: boolean): boolean {
  if (blocked || event.defaultPrevented) return false
  for (const action of actions) {
    const { shortcut } = action
    if (shortcut === undefined || action.disabled || !matchesShortcut(event, shortcut)) continue
    // A key without Ctrl or Command is a character or the console's own; Delete belongs to the list alone.
    if (!shortcut.startsWith('Mod+') && (isTyping(event.target) || shortcut === 'Delete')) return false
    if (hasOwnMeaning(event.target, shortcut)) return false
    event.preventDefault()
    event.stopPropagation()
    action.run()
    return true
  }
  return false
}
