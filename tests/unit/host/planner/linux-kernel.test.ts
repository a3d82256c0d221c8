import { expect, test } from 'vitest'
import { elfProgram, hasPvhEntry, isBzImage, isWideBzImage } from '../../../../src-main/host/planner/linux-kernel.ts'
import { fakeKernel } from '../../../integration/machines/support/fake-files.ts'

test('knows a packed kernel', () => {
  expect(isBzImage(fakeKernel())).toBe(true)
  expect(isBzImage(new Uint8Array(4096))).toBe(false)
  expect(isBzImage(new Uint8Array(3))).toBe(false)
})

test('knows a packed kernel for 64-bit PCs by its load flags', () => {
  const wide = fakeKernel()
  const view = new DataView(wide.buffer)
  view.setUint16(0x206, 0x020f, true)
  expect(isWideBzImage(wide)).toBe(false)
  view.setUint16(0x236, 0x3f, true)
  expect(isWideBzImage(wide)).toBe(true)
  // Older headers have something else there.
  view.setUint16(0x206, 0x020b, true)
  expect(isWideBzImage(wide)).toBe(false)
  expect(isWideBzImage(wide.subarray(0, 0x237))).toBe(false)
})

/** The head of an ELF program with two program headers, the second of them for notes. */
function elf(wide: boolean, change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(1024)
  const view = new DataView(bytes.buffer)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1])
  const word = (at: number, value: number): void => (wide ? view.setBigUint64(at, BigInt(value), true) : view.setUint32(at, value, true))
  const [table, entry] = wide ? [64, 56] : [52, 32]
  view.setUint16(16, 2, true)
  view.setUint16(18, wide ? 62 : 3, true)
  word(wide ? 32 : 28, table)
  view.setUint16(wide ? 54 : 42, entry, true)
  view.setUint16(wide ? 56 : 44, 2, true)
  view.setUint32(table, 1, true)
  view.setUint32(table + entry, 4, true)
  word(table + entry + (wide ? 8 : 4), 0x5000)
  word(table + entry + (wide ? 32 : 16), 0x1f8)
  change(view)
  return bytes
}

test('finds the notes of an unpacked kernel, and whether it can be entered directly', () => {
  expect(elfProgram(elf(true))).toEqual({ wide: true, notes: { offset: 0x5000, size: 0x1f8 } })
  expect(elfProgram(elf(false))).toEqual({ wide: false, notes: { offset: 0x5000, size: 0x1f8 } })
  expect(elfProgram(elf(true, (view) => view.setUint16(18, 183, true))), 'for another processor').toBeNull()
  expect(elfProgram(elf(true, (view) => view.setUint16(16, 3, true))), 'a library').toBeNull()
  expect(elfProgram(elf(true, (view) => view.setUint16(54, 0, true))), 'entries of no size').toBeNull()
  expect(elfProgram(elf(true, (view) => view.setUint16(56, 1, true))), 'without notes').toBeNull()
  expect(elfProgram(elf(true, (view) => view.setBigUint64(32, 2n ** 63n, true))), 'a table far outside').toBeNull()
  expect(elfProgram(elf(true).subarray(0, 60))).toBeNull()
  expect(elfProgram(fakeKernel())).toBeNull()

  const note = (type: number, name = 'Xen\0'): number[] => [
    4,
    0,
    0,
    0,
    8,
    0,
    0,
    0,
    type,
    0,
    0,
    0,
    ...Buffer.from(name),
    0,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
  ]
  expect(hasPvhEntry(Uint8Array.from([...note(6), ...note(18)]))).toBe(true)
  expect(hasPvhEntry(Uint8Array.from([...note(6), ...note(18, 'GNU\0')]))).toBe(false)
  expect(hasPvhEntry(Uint8Array.from(note(6)))).toBe(false)
  expect(hasPvhEntry(new Uint8Array(64 * 1024).fill(0xff))).toBe(false)
  expect(hasPvhEntry(new Uint8Array())).toBe(false)
})
