import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nameProblem, nameSchema } from '../../../../src-shared/model/names.ts'

describe('names', () => {
  test.each([
    'a',
    'Coppice Linux 2',
    'web-1',
    'Ünïcödé',
    '日本語',
    '👩‍💻',
    'a.b',
    'comic',
    'nullable',
    'x'.repeat(200),
    "it's (a) [test] #1 & more",
  ])('%j is a name', (name) => expect(nameProblem(name)).toBeNull())

  test.each([
    ['', 'empty'],
    ['   ', 'empty'],
    [' a', 'space'],
    ['a\u00a0', 'space'],
    ['../a', '/'],
    ['a/b', '/'],
    ['a\\b', '\\'],
    ['..', 'full stop'],
    ['.hidden', 'full stop'],
    ['a.', 'full stop'],
    ['a\nb', 'control'],
    ['a\0', 'control'],
    ['a\u001b[31m', 'control'],
    ['a\u202eexe', 'control'],
    ['a\u200bb', 'control'],
    ['\ud800x', 'half a character'],
    ['a:b', ':'],
    ['a*', '*'],
    ['CON', 'Windows'],
    ['nul.txt', 'Windows'],
    ['Lpt1', 'Windows'],
    ['x'.repeat(201), '200'],
    ['日'.repeat(81), 'too long'],
  ])('%j is refused: %s', (name, word) => {
    expect(nameProblem(name)).toContain(word)
    expect(nameSchema.safeParse(name).success).toBe(false)
  })

  test('any name that passes is one element of a path, on every system, and fits with its ending', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 260 }), (name) => {
        if (nameProblem(name) !== null) return
        expect(name).not.toMatch(/[/\\:\0]/)
        expect(['.', '..']).not.toContain(name)
        expect(Buffer.byteLength(`${name} 2.coppice`)).toBeLessThanOrEqual(255)
        expect(Buffer.from(name).toString()).toBe(name)
      }),
      { numRuns: 1000 },
    )
  })
})
