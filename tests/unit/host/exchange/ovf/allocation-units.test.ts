import { expect, test } from 'vitest'
import { sizeInBytes, unitBytes } from '../../../../../src-main/host/exchange/ovf/allocation-units.ts'

test.each([
  ['byte', 1],
  ['byte * 2^20', 2 ** 20],
  ['byte*2^30', 2 ** 30],
  ['Byte * 10^9', 1e9],
  ['byte * 1024 * 1024', 2 ** 20],
  ['MegaBytes', 2 ** 20],
  ['GB', 2 ** 30],
  ['KiloByte', 1024],
])('%s', (text, bytes) => expect(unitBytes(text)).toBe(bytes))

test.each([
  '',
  'hertz * 10^6',
  'byte * 2^99',
  'byte * 2^',
  'byte * x',
  'byte * 0',
  'constructor',
  'byte' + ' * 2'.repeat(9),
  'byte'.padEnd(200),
])('“%s” is no unit of bytes', (text) => expect(unitBytes(text)).toBeNull())

test('sizes', () => {
  expect(sizeInBytes(10, 'byte * 2^30', 1)).toBe(10 * 2 ** 30)
  expect(sizeInBytes(10, null, 2 ** 20)).toBe(10 * 2 ** 20)
  expect(sizeInBytes(10, '', 1)).toBe(10)
  expect(sizeInBytes(null, 'byte', 1)).toBeNull()
  expect(sizeInBytes(2 ** 50, 'byte * 2^20', 1)).toBeNull()
})
