import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { fieldErrors } from '../../../../src-shared/errors/field-errors.ts'

describe('AppError', () => {
  test('goes over a wire and back with all that people and programs need', () => {
    const error = new AppError(
      'no-space',
      'The disk is full.',
      { subject: '/x', fields: [{ path: 'a', message: 'b' }] },
      new Error('cause'),
    )
    const back = AppError.fromWire(JSON.parse(JSON.stringify(error.toWire())) as ReturnType<AppError['toWire']>)
    expect(back).toMatchObject({
      code: 'no-space',
      message: 'The disk is full.',
      details: { subject: '/x', fields: [{ path: 'a', message: 'b' }] },
    })
    expect(back.details.technical).toContain('Error: cause')
    expect(new AppError('busy', 'Later.').toWire()).toEqual({ code: 'busy', message: 'Later.' })
    expect(AppError.fromWire({ code: 'busy', message: 'Later.' }).details).toEqual({})
  })

  test('every wrong field is in the sentence and in the details', () => {
    const fields = [
      { path: 'a', message: 'A is wrong.' },
      { path: 'b.0', message: 'B too.' },
    ]
    expect(AppError.invalid(fields)).toMatchObject({ code: 'invalid-input', message: 'A is wrong. B too.', details: { fields } })
  })

  test.each([
    ['ENOSPC', 'no-space'],
    ['EDQUOT', 'no-space'],
    ['ENOENT', 'not-found'],
    ['EACCES', 'denied'],
    ['EROFS', 'denied'],
    ['EADDRINUSE', 'unavailable'],
    ['EIO', 'io'],
  ])('a system error %s becomes a sentence with the path', (code, expected) => {
    const error = asAppError(Object.assign(new Error(`${code}: x`), { code, path: '/a/b' }), 'Writing machine.json')
    expect(error.code).toBe(expected)
    expect(error.message).toMatch(/^Writing machine\.json \(\/a\/b\) failed: .*\.$/)
    expect(error.message).not.toContain(code)
  })

  test('an AppError stays itself, an abort is a cancel, a bug is internal with its stack apart', () => {
    const own = new AppError('busy', 'Later.')
    expect(asAppError(own, 'X')).toBe(own)
    expect(asAppError(new DOMException('x', 'AbortError'))).toMatchObject({ code: 'cancelled' })
    const bug = asAppError(new TypeError(`x is undefined\n${'y'.repeat(500)}`), 'Painting')
    expect(bug).toMatchObject({ code: 'internal', message: 'Painting failed unexpectedly: x is undefined' })
    expect(bug.toWire().details?.technical).toContain('app-error.test')
    expect(asAppError('text')).toMatchObject({ code: 'internal', details: { technical: 'text' } })
    expect(asAppError(new Error('x'.repeat(1000))).message.length).toBeLessThan(300)
    expect(asAppError(undefined).code).toBe('internal')
  })

  test('a schema’s complaints, one for each field, unknown ones by their names', () => {
    const schema = z.strictObject({ a: z.strictObject({ b: z.array(z.number()) }) })
    const { error } = schema.safeParse({ a: { b: [1, 'x'], c: 1, d: 2 }, e: 3 })
    expect(
      fieldErrors(error!)
        .map(({ path }) => path)
        .sort(),
    ).toEqual(['a.b.1', 'a.c', 'a.d', 'e'])
  })
})
