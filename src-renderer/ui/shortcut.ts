/**
 * Keyboard shortcuts as text: "Mod+Shift+D", where Mod is Command on a Mac and Control elsewhere. Keys are named as in
 * KeyboardEvent.key (UI Events, "Named key attribute values"), letters in upper case.
 */
const NAMES: Record<string, string> = {
  ArrowUp: '↑',
  ArrowDown: '↓',
  ArrowLeft: '←',
  ArrowRight: '→',
  Enter: '↵',
  Escape: 'Esc',
  ' ': 'Space',
}
const MAC_MODIFIERS: Record<string, string> = { Mod: '⌘', Ctrl: '⌃', Shift: '⇧', Alt: '⌥' }

export function isMac(): boolean {
  return typeof navigator !== 'undefined' && /mac/i.test(navigator.platform)
}

/** As people read it: "Ctrl+Shift+D", or "⌘⇧D" on a Mac. */
export function shortcutText(shortcut: string, mac = isMac()): string {
  const parts = split(shortcut)
  const key = parts.key.length === 1 ? parts.key.toUpperCase() : (NAMES[parts.key] ?? parts.key)
  if (mac) return parts.modifiers.map((modifier) => MAC_MODIFIERS[modifier] ?? '').join('') + key
  return [...parts.modifiers.map((modifier) => (modifier === 'Mod' ? 'Ctrl' : modifier)), key].join('+')
}

/** True when the key press is exactly this shortcut. */
export function matchesShortcut(event: KeyboardEvent, shortcut: string, mac = isMac()): boolean {
  const { modifiers, key } = split(shortcut)
  const mod = modifiers.includes('Mod')
  const control = modifiers.includes('Ctrl') || (mod && !mac)
  const command = mod && mac
  if (event.ctrlKey !== control || event.metaKey !== command || event.altKey) return false
  // Punctuation is typed with or without Shift as the layout has it.
  if (/^[\p{L}\p{N}]$|^.{2,}$/u.test(key) && event.shiftKey !== modifiers.includes('Shift')) return false
  if (event.key.toLowerCase() === key.toLowerCase()) return true
  // With Shift or on other layouts `key` is another character: fall back to where the key is.
  const code = /^[A-Z]$/.test(key) ? `Key${key}` : CODES[key]
  return code !== undefined && event.code === code
}

const CODES: Record<string, string> = {
  '[': 'BracketLeft',
  ']': 'BracketRight',
  ',': 'Comma',
  ' ': 'Space',
  ...Object.fromEntries([...'0123456789'].map((digit) => [digit, `Digit${digit}`])),
}

function split(shortcut: string): { modifiers: string[]; key: string } {
  const parts = shortcut.split('+')
  return { modifiers: parts.slice(0, -1), key: parts.at(-1) ?? '' }
}
