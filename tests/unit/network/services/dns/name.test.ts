import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeName, isWithin, keyOf, labelsOf, readName } from '../../../../../src-main/network/services/dns/name.ts'

const label = fc.uint8Array({ minLength: 1, maxLength: 63 })

describe('domain names', () => {
  it('of any bytes are written and read', () => {
    fc.assert(
      fc.property(fc.array(label, { maxLength: 4 }), (labels) => {
        const bytes = Uint8Array.from([...labels.flatMap((one) => [one.length, ...one]), 0])
        const read = readName(bytes, 0)
        if (bytes.length > 255) return expect(read).toBeNull()
        expect(read!.end).toBe(bytes.length)
        expect(encodeName(read!.name)).toEqual(bytes)
        expect(labelsOf(read!.name)).toHaveLength(labels.length)
      }),
    )
  })

  it('are read from any bytes, or not', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, at) => void readName(bytes, at)))
  })

  it('point backwards, and never round', () => {
    const bytes = Uint8Array.of(3, 99, 111, 109, 0, 3, 119, 119, 119, 0xc0, 0)
    expect(readName(bytes, 5)).toEqual({ name: 'www.com', end: 11 })
    expect(readName(Uint8Array.of(0xc0, 0), 0)).toBeNull()
    expect(readName(Uint8Array.of(1, 97, 0xc0, 0), 0)).toBeNull()
    expect(readName(Uint8Array.of(0xc0, 2, 0xc0, 0), 2)).toBeNull()
    expect(readName(Uint8Array.of(0x40, 0), 0)).toBeNull()
  })

  it('that are none are not written', () => {
    for (const name of ['a..b', '.', '.a', 'a.', 'x'.repeat(64), 'a\\', '\\300', '€', new Array(64).fill('abcd').join('.')])
      expect(encodeName(name), name).toBeNull()
    expect(encodeName('')).toEqual(Uint8Array.of(0))
    expect(encodeName('a\\.b')).toEqual(Uint8Array.of(3, 97, 46, 98, 0))
  })

  it('have no case but of ASCII, and stand in domains as wholes', () => {
    expect(keyOf('WWW.Lab\\197')).toBe('www.lab\\197')
    expect(isWithin('a.lab', 'lab')).toBe(true)
    expect(isWithin('alab', 'lab')).toBe(false)
  })
})
