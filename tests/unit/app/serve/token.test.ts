import { expect, test } from 'vitest'
import { cookieName, cookieValue, newToken, readCookie, sameSecret, setCookie } from '../../../../src-main/app/serve/token.ts'

test('a token has 256 bits and is new each time', () => {
  const token = newToken()
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  expect(newToken()).not.toBe(token)
})

test('the cookie is bound to its port, hidden from scripts and from other sites, and does not give the token away', () => {
  const token = newToken()
  expect(setCookie(4001, token)).toBe(`coppice-4001=${cookieValue(token)}; Path=/; HttpOnly; SameSite=Strict`)
  expect(setCookie(4001, token)).not.toContain(token)
  expect(cookieName(4002)).not.toBe(cookieName(4001))
})

test('secrets are compared by value, whatever their lengths', () => {
  expect(sameSecret('abc', 'abc')).toBe(true)
  for (const wrong of ['', 'ab', 'abcd', 'abC', 'é'.repeat(1000)]) expect(sameSecret(wrong, 'abc')).toBe(false)
})

test('a cookie is found by its exact name among others', () => {
  expect(readCookie('a=1; coppice-4001=x=y; b=2', 'coppice-4001')).toBe('x=y')
  expect(readCookie('xcoppice-4001=1', 'coppice-4001')).toBeNull()
  expect(readCookie('coppice-4001', 'coppice-4001')).toBeNull()
  expect(readCookie(undefined, 'coppice-4001')).toBeNull()
})
