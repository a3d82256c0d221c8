import { expect, test } from 'vitest'
import { answersChallenge, encryptChallenge } from '../../../../src-main/host/vnc/auth.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const text = (...bytes: number[]): string => String.fromCharCode(...bytes)

test('is DES block by block (FIPS 81, appendix B, ECB), its key with mirrored bits', () => {
  // 0123456789abcdef, each byte mirrored.
  const key = text(0x80, 0xc4, 0xa2, 0xe6, 0x91, 0xd5, 0xb3, 0xf7)
  expect(hex(encryptChallenge(key, Buffer.from('Now is the time ')))).toBe('3fa40e8a984d48156a271787ab8883f9')
})

test('gives what the vncpasswd of all VNC servers stores', () => {
  const fixed = text(23, 82, 107, 6, 35, 78, 88, 7)
  expect(hex(encryptChallenge(fixed, Buffer.from('password')))).toBe('dbd83cfd727a1458')
})

test('only the right answer to this challenge passes; what is beyond eight characters does not count', () => {
  const challenge = Uint8Array.from({ length: 16 }, (_, at) => at)
  const answer = encryptChallenge('secret12', challenge)
  expect(answersChallenge('secret12', challenge, answer)).toBe(true)
  expect(answersChallenge('secret12', challenge, encryptChallenge('secret123', challenge))).toBe(true)
  expect(answersChallenge('secret1', challenge, answer)).toBe(false)
  expect(answersChallenge('secret12', challenge.toReversed(), answer)).toBe(false)
  expect(answersChallenge('secret12', challenge, answer.subarray(0, 8))).toBe(false)
})
