import { expect, test } from 'vitest'
import { Layout, LAYOUT_NAMES, type LayoutName } from '../../../../src-renderer/display/keyboard-layouts.ts'
import { typeStrokes, typingOf } from '../../../../src-renderer/display/type-text.ts'

/** As "Shift+Digit2", one for each press. */
function presses(text: string, layout: LayoutName): string[] {
  return typingOf(text, layout).strokes.map(({ code, shift, altGr }) => `${shift ? 'Shift+' : ''}${altGr ? 'AltGr+' : ''}${code}`)
}

test.each(LAYOUT_NAMES)('%s types every printable character of ASCII', (name) => {
  const layout = new Layout(name)
  for (let point = 0x20; point < 0x7f; point++)
    expect(layout.strokes(String.fromCharCode(point)), String.fromCharCode(point)).not.toBeNull()
})

test.each(LAYOUT_NAMES)('%s has one place for each character', (name) => {
  const layout = new Layout(name)
  const places = new Map<string, string>()
  for (let point = 0x21; point < 0x100; point++) {
    const strokes = layout.strokes(String.fromCharCode(point))
    if (strokes?.length !== 1) continue
    const { code, shift, altGr } = strokes[0]!
    const place = `${code} ${shift} ${altGr}`
    expect(places.get(place), `${String.fromCharCode(point)} at ${place}`).toBeUndefined()
    places.set(place, String.fromCharCode(point))
  }
})

/** Checked against the X Keyboard Extension's layouts of these names, as QEMU's keymaps have them. */
test.each<[LayoutName, string, string[]]>([
  ['us', '@|~\\"', ['Shift+Digit2', 'Shift+Backslash', 'Shift+Backquote', 'Backslash', 'Shift+Quote']],
  [
    'gb',
    '@|~\\"£€',
    ['Shift+Quote', 'Shift+IntlBackslash', 'Shift+Backslash', 'IntlBackslash', 'Shift+Digit2', 'Shift+Digit3', 'AltGr+Digit4'],
  ],
  ['de', '@|\\zyÄ', ['AltGr+KeyQ', 'AltGr+IntlBackslash', 'AltGr+Minus', 'KeyY', 'KeyZ', 'Shift+Quote']],
  ['de', '^ô', ['Backquote', 'Space', 'Backquote', 'KeyO']],
  ['ch', '@|\\{$', ['AltGr+Digit2', 'AltGr+Digit7', 'AltGr+IntlBackslash', 'AltGr+Quote', 'Backslash']],
  ['fr', '1a@|\\.', ['Shift+Digit1', 'KeyQ', 'AltGr+Digit0', 'AltGr+Digit6', 'AltGr+Digit8', 'Shift+Comma']],
  ['es', '@|/ñá', ['AltGr+Digit2', 'AltGr+Digit1', 'Shift+Digit7', 'Semicolon', 'Quote', 'KeyA']],
  ['it', '@#{è', ['AltGr+Semicolon', 'AltGr+Quote', 'AltGr+Digit7', 'BracketLeft']],
  ['se', '@$\\ö', ['AltGr+Digit2', 'AltGr+Digit4', 'AltGr+Minus', 'Semicolon']],
])('on a keyboard of “%s”, %s is where it is', (layout, text, expected) => {
  expect(presses(text, layout)).toEqual(expected)
})

test('line ends of every kind are one Enter, and what the keyboard lacks is named once', () => {
  expect(presses('a\r\nb\rc\n\t', 'us')).toEqual(['KeyA', 'Enter', 'KeyB', 'Enter', 'KeyC', 'Enter', 'Tab'])
  expect(typingOf('木é木', 'us')).toMatchObject({ strokes: [], missing: ['木', 'é'] })
  // Composed, whichever way it was written.
  expect(presses('e\u0301', 'es')).toEqual(['Quote', 'KeyE'])
})

test('modifiers go down before their key and up after it, and an abort leaves none down', async () => {
  const sent: string[] = []
  const controller = new AbortController()
  const { strokes } = typingOf('A@b', 'de')
  await typeStrokes(
    strokes,
    (keysym, code, down) => sent.push(`${down ? '+' : '-'}${code}:${keysym.toString(16)}`),
    controller.signal,
    (done) => done === 2 && controller.abort(),
  )
  expect(sent).toEqual('+ShiftLeft:ffe1 +KeyA:41 -KeyA:41 -ShiftLeft:ffe1 +AltRight:fe03 +KeyQ:40 -KeyQ:40 -AltRight:fe03'.split(' '))
})
