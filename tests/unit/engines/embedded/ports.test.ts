/** Keyboard and mouse as the guest's controller sees them. */
import { describe, expect, test } from 'vitest'
import { KeyboardPort } from '../../../../src-main/engines/embedded/keyboard-port.ts'
import { MousePort } from '../../../../src-main/engines/embedded/mouse-port.ts'

function keyboard(): { port: KeyboardPort; bytes: number[] } {
  const bytes: number[] = []
  return { bytes, port: new KeyboardPort((byte) => void bytes.push(byte)) }
}

describe('keyboard', () => {
  test.each([
    ['A', 0x1e, [0x1e], [0x9e]],
    ['Up, with its prefix', 0xc8, [0xe0, 0x48], [0xe0, 0xc8]],
    ['Print', 0x54, [0xe0, 0x2a, 0xe0, 0x37], [0xe0, 0xb7, 0xe0, 0xaa]],
    ['Print by its other number', 0xb7, [0xe0, 0x2a, 0xe0, 0x37], [0xe0, 0xb7, 0xe0, 0xaa]],
    ['Pause, which has no break', 0xc6, [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5], []],
  ])('%s', (_name, code, make, breaks) => {
    const { port, bytes } = keyboard()
    port.key(code, true)
    expect(bytes.splice(0)).toEqual(make)
    port.key(code, false)
    expect(bytes).toEqual(breaks)
  })

  test('with Alt, Print is SysRq; with Control, Pause is Break', () => {
    const { port, bytes } = keyboard()
    port.key(0x38, true)
    bytes.length = 0
    port.key(0x54, true)
    port.key(0x54, false)
    expect(bytes.splice(0)).toEqual([0x54, 0xd4])
    port.key(0x38, false)
    port.key(0x9d, true)
    bytes.length = 0
    port.key(0xc6, true)
    expect(bytes).toEqual([0xe0, 0x46, 0xe0, 0xc6])
  })
})

describe('mouse', () => {
  const size = { width: 640, height: 480 }
  function mouse(): { port: MousePort; sent: [string, unknown[]][] } {
    const sent: [string, unknown[]][] = []
    return { sent, port: new MousePort((event, data) => void sent.push([event, data])) }
  }

  test('moves to a place, and by steps that a PS/2 packet can say', () => {
    const { port, sent } = mouse()
    port.pointer(300, 20, 0, size)
    expect(sent.shift()).toEqual(['mouse-absolute', [300, 20, 640, 480]])
    expect(sent.map(([event]) => event)).toEqual(['mouse-delta', 'mouse-delta', 'mouse-delta'])
    const sum = (at: 0 | 1): number => sent.reduce((total, [, data]) => total + (data[at] as number), 0)
    expect([sum(0), sum(1)]).toEqual([300, -20])
    sent.length = 0
    port.pointer(300, 20, 0, size)
    expect(sent).toEqual([])
  })

  test('movements go as they come', () => {
    const { port, sent } = mouse()
    port.move(-3, 5, 0)
    expect(sent).toEqual([['mouse-delta', [-3, -5]]])
  })

  test('lets go without moving', () => {
    const { port, sent } = mouse()
    port.pointer(0, 0, 5, size)
    sent.length = 0
    port.release(3)
    expect(sent).toEqual([['mouse-click', [true, false, false]]])
  })

  test('stays on the screen', () => {
    const { port, sent } = mouse()
    port.pointer(65535, 65535, 0, size)
    expect(sent[0]).toEqual(['mouse-absolute', [639, 479, 640, 480]])
  })

  test('buttons, and wheel steps once for each press', () => {
    const { port, sent } = mouse()
    port.pointer(0, 0, 1, size)
    port.pointer(0, 0, 5, size)
    port.pointer(0, 0, 5 | 8, size)
    port.pointer(0, 0, 5, size)
    port.pointer(0, 0, 16, size)
    expect(sent).toEqual([
      ['mouse-click', [true, false, false]],
      ['mouse-click', [true, false, true]],
      ['mouse-wheel', [1, 0]],
      ['mouse-click', [false, false, false]],
      ['mouse-wheel', [-1, 0]],
    ])
  })
})
