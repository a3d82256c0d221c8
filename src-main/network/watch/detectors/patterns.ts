/** Bytes that somebody wants to be told of, in what one packet carries. */
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import type { WatchRules } from '../../../../src-shared/model/network.ts'
import type { Detector } from '../seen.ts'

/** Null where there are none to look for. */
export function patterns(rules: WatchRules['patterns']): Detector | null {
  const sought = rules.map(({ name, bytes }) => ({ name, bytes: Buffer.from(patternBytes(bytes)) })).filter(({ bytes }) => bytes.length > 0)
  if (sought.length === 0) return null
  return ({ payload }) => {
    if (payload.length === 0) return null
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
    const found = sought.find(({ bytes }) => text.includes(bytes))
    return found ? { about: found.name, message: `{name} sent “${found.name}”.` } : null
  }
}

/** "0x" and hexadecimal digits are bytes, anything else is text. */
export function patternBytes(text: string): Uint8Array {
  const [, digits] = /^0x((?:[0-9a-f]{2})+)$/i.exec(text) ?? []
  return digits === undefined ? utf8(text) : Uint8Array.from(digits.match(/../g)!, (pair) => parseInt(pair, 16))
}
