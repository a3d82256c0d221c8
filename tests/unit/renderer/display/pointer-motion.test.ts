import { expect, test } from 'vitest'
import { buttonMask, movement, pointerFilter, wheelMask } from '../../../../src-renderer/display/pointer-motion.ts'

test('the list of encodings says that movements are understood; everything else passes as it is', () => {
  const filter = pointerFilter(() => false)
  const encodings = Uint8Array.of(2, 0, 0, 2, 0, 0, 0, 7, 0xff, 0xff, 0xfe, 0xfe)
  expect([...filter(encodings)!]).toEqual([2, 0, 0, 3, 0, 0, 0, 7, 0xff, 0xff, 0xfe, 0xfe, 0xff, 0xff, 0xfe, 0xff])
  const pointer = Uint8Array.of(5, 1, 0, 10, 0, 20)
  expect(filter(pointer)).toBe(pointer)
})

test('while the guest takes movements, places are not sent', () => {
  const filter = pointerFilter(() => true)
  expect(filter(Uint8Array.of(5, 1, 0, 10, 0, 20))).toBeNull()
  const key = Uint8Array.of(4, 1, 0, 0, 0, 0, 0, 97)
  expect(filter(key)).toBe(key)
})

test('a movement is told from the middle of the range, and never leaves it', () => {
  expect([...movement(1, 0, 0)]).toEqual([5, 1, 0x7f, 0xff, 0x7f, 0xff])
  expect([...movement(0, 1, -1)]).toEqual([5, 0, 0x80, 0x00, 0x7f, 0xfe])
  const view = new DataView(movement(0, 1e9, -1e9).buffer)
  expect([view.getUint16(2), view.getUint16(4)]).toEqual([0x7fff + 1000, 0x7fff - 1000])
})

test('buttons and wheel are the protocol’s', () => {
  expect([1, 2, 4, 7].map(buttonMask)).toEqual([1, 4, 2, 7])
  expect([wheelMask(0, -1), wheelMask(0, 1), wheelMask(-1, 0), wheelMask(1, 0), wheelMask(0, 0)]).toEqual([8, 16, 32, 64, 0])
})
