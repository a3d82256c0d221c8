import { describe, expect, test } from 'vitest'
import { matchesShortcut, shortcutText } from '../../../../src-renderer/ui/shortcut.ts'

const press = (key: string, change: Partial<KeyboardEvent> = {}): KeyboardEvent =>
  ({ key, code: '', ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...change }) as KeyboardEvent

describe('shortcuts', () => {
  test('read as the system writes them', () => {
    expect(shortcutText('Mod+Shift+D', false)).toBe('Ctrl+Shift+D')
    expect(shortcutText('Mod+Shift+D', true)).toBe('⌘⇧D')
    expect(shortcutText('Mod+Shift+Enter', false)).toBe('Ctrl+Shift+↵')
    expect(shortcutText('F2', true)).toBe('F2')
  })
  test('want exactly their modifiers', () => {
    expect(matchesShortcut(press('k', { ctrlKey: true }), 'Mod+K', false)).toBe(true)
    expect(matchesShortcut(press('k', { metaKey: true }), 'Mod+K', true)).toBe(true)
    expect(matchesShortcut(press('k', { ctrlKey: true }), 'Mod+K', true)).toBe(false)
    expect(matchesShortcut(press('K', { ctrlKey: true, shiftKey: true }), 'Mod+K', false)).toBe(false)
    expect(matchesShortcut(press('k', { ctrlKey: true, altKey: true }), 'Mod+K', false)).toBe(false)
    expect(matchesShortcut(press('k'), 'Mod+K', false)).toBe(false)
  })
  test('find a key by its place where Shift or the layout changes its character', () => {
    expect(matchesShortcut(press('}', { code: 'BracketRight', ctrlKey: true, shiftKey: true }), 'Mod+Shift+]', false)).toBe(true)
    expect(matchesShortcut(press('л', { code: 'KeyK', ctrlKey: true }), 'Mod+K', false)).toBe(true)
  })
  test('take punctuation that is typed with Shift', () => {
    expect(matchesShortcut(press('?', { shiftKey: true }), '?', false)).toBe(true)
    expect(matchesShortcut(press('/'), '?', false)).toBe(false)
  })
})
