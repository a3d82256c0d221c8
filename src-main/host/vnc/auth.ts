/**
 * VNC authentication (RFC 6143, section 7.2.2): the server sends a challenge, the viewer gives it back encrypted with its password. The cipher is DES
 * in single blocks; each byte of the key has its bits mirrored, as the first implementation did and all since. Single DES is weak and here protects
 * nothing but a loopback port from other users of the computer; what makes guessing hopeless is failure-limit.ts.
 */
import { createCipheriv, timingSafeEqual } from 'node:crypto'

/** Bytes of a challenge, and of the answer to it. */
export const CHALLENGE_BYTES = 16
const BLOCK = 8

/** @param password ASCII; what is beyond eight bytes does not count */
export function encryptChallenge(password: string, challenge: Uint8Array): Uint8Array<ArrayBuffer> {
  const key = new Uint8Array(BLOCK)
  key.set(Buffer.from(password, 'latin1').subarray(0, BLOCK).map(mirrorBits))
  const out = new Uint8Array(challenge.length)
  for (let at = 0; at < challenge.length; at += BLOCK) {
    // Node has no DES any more. Triple DES with three equal keys is DES, and its first block from a zero vector is a block alone.
    const cipher = createCipheriv('des-ede3-cbc', Buffer.concat([key, key, key]), new Uint8Array(BLOCK)).setAutoPadding(false)
    out.set(cipher.update(challenge.subarray(at, at + BLOCK)), at)
    cipher.final()
  }
  return out
}

/** Whether a viewer's answer shows that it knows the password. Takes as long for every wrong answer. */
export function answersChallenge(password: string, challenge: Uint8Array, answer: Uint8Array): boolean {
  const expected = encryptChallenge(password, challenge)
  return answer.length === expected.length && timingSafeEqual(answer, expected)
}

function mirrorBits(byte: number): number {
  let mirrored = 0
  for (let bit = 0; bit < 8; bit++) mirrored |= ((byte >> bit) & 1) << (7 - bit)
  return mirrored
}
