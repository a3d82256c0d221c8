import { describe, expect, test } from 'vitest'
import { KeyboardOfViewer } from '../../../../src-main/engines/rfb/keyboard.ts'
import { keyOfSym } from '../../../../src-main/engines/rfb/keysyms.ts'

function keyboard(): { keys: KeyboardOfViewer; sent: string[] } {
  const sent: string[] = []
  return { sent, keys: new KeyboardOfViewer((code, down) => void sent.push(`${down ? '+' : '-'}${code.toString(16)}`)) }
}

describe('a viewer’s keyboard', () => {
  test('scancodes go through, with repetition', () => {
    const { keys, sent } = keyboard()
    keys.scancode(0x1e, true)
    keys.scancode(0x1e, true)
    keys.scancode(0x1e, false)
    keys.scancode(0x1e, false)
    expect(sent).toEqual(['+1e', '+1e', '-1e'])
  })

  test('a capital without Shift is typed with it', () => {
    const { keys, sent } = keyboard()
    keys.keysym(0x41, true)
    keys.keysym(0x41, false)
    expect(sent).toEqual(['+2a', '+1e', '-2a', '-1e'])
  })

  test('with the viewer’s own Shift nothing is added', () => {
    const { keys, sent } = keyboard()
    for (const [keysym, down] of [
      [0xffe1, true],
      [0x41, true],
      [0x41, false],
      [0xffe1, false],
    ] as const)
      keys.keysym(keysym, down)
    expect(sent).toEqual(['+2a', '+1e', '-1e', '-2a'])
  })

  test('a character that another keyboard has behind Shift is typed without it', () => {
    const { keys, sent } = keyboard()
    keys.keysym(0xffe2, true)
    keys.keysym(0x2f, true)
    expect(sent).toEqual(['+36', '-36', '+35', '+36'])
  })

  test('Caps Lock turns letters round, and only these', () => {
    const { keys, sent } = keyboard()
    keys.keysym(0xffe5, true)
    keys.keysym(0xffe5, false)
    sent.length = 0
    keys.keysym(0x41, true)
    keys.keysym(0x31, true)
    expect(sent).toEqual(['+1e', '+2'])
  })

  test('what is held is let go when the viewer leaves', () => {
    const { keys, sent } = keyboard()
    keys.scancode(0x1d, true)
    keys.scancode(0x38, true)
    sent.length = 0
    keys.releaseAll()
    keys.releaseAll()
    expect(sent).toEqual(['-1d', '-38'])
  })

  test('unknown keysyms are left out', () => {
    const { keys, sent } = keyboard()
    keys.keysym(0x20ac, true)
    expect(sent).toEqual([])
  })

  test('every printable ASCII character has its key', () => {
    for (let code = 0x20; code < 0x7f; code++) expect(keyOfSym(code), String.fromCharCode(code)).not.toBeNull()
    expect(['z', ',', '/', '\\', '`', '~', '"', 'p'].map((character) => keyOfSym(character.charCodeAt(0))!.code)).toEqual([
      0x2c, 0x33, 0x35, 0x2b, 0x29, 0x29, 0x28, 0x19,
    ])
  })
})
