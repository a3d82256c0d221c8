/**
 * Addresses as keys of hash tables. Where guests choose the addresses, begin with a random seed: then they cannot choose addresses that all have the same key and make the
 * table slow.
 */
import { wordAt } from './codec/words.ts'

/** Goes on with a key over an address of 4 or 16 bytes. @returns a signed 32-bit integer */
export function mixAddress(key: number, bytes: Uint8Array, start: number, length: number): number {
  let mixed = key
  for (let at = start; at < start + length; at += 4) {
    mixed = Math.imul(mixed ^ wordAt(bytes, at), 0x85ebca6b)
    mixed ^= mixed >>> 15
  }
  return mixed
}
