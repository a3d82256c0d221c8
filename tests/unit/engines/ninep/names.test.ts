import { posix, win32 } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameProblem } from '../../../../src-main/engines/ninep/names.ts'

describe('names in a shared folder', () => {
  test.each(['', '.', '..', 'a/b', '/', 'a\0b'])('%j is none anywhere', (name) => {
    expect(nameProblem(name, 'linux')).toBe('EINVAL')
    expect(nameProblem(name, 'win32')).toBe('EINVAL')
  })

  test.each(['...', '..a', 'a\\b', 'con', 'a:b', 'ends ', 'ends.', '*', '\n', '日本語'])('%j is one on Linux', (name) => {
    expect(nameProblem(name, 'linux')).toBeNull()
  })

  test.each([
    'a\\b',
    '..\\x',
    'C:',
    'file:stream',
    'con',
    'NUL.txt',
    'COM1',
    'com¹.log',
    'CONIN$',
    'aux ',
    'x.',
    'x ',
    'a*',
    'a?b',
    'a\tb',
  ])('%j is none on Windows', (name) => expect(nameProblem(name, 'win32')).toBe('EINVAL'))

  test.each(['console', 'nulls', 'com10', 'a.con', 'ordinary.txt', 'ü'])('%j is one on Windows', (name) => {
    expect(nameProblem(name, 'win32')).toBeNull()
  })

  test('at most 255 bytes', () => {
    expect(nameProblem('ü'.repeat(127) + 'a', 'linux')).toBeNull()
    expect(nameProblem('ü'.repeat(128), 'linux')).toBe('ENAMETOOLONG')
  })

  test('whatever is let through is directly in the folder', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', '/', '\\', ':', 'C', 'a', ' ', '\0') }), (name) => {
        if (nameProblem(name, 'linux') === null) expect(posix.dirname(posix.join('/srv/share', name))).toBe('/srv/share')
        if (nameProblem(name, 'win32') === null) expect(win32.dirname(win32.join('C:\\share', name))).toBe('C:\\share')
      }),
      { numRuns: 2000 },
    )
  })
})
