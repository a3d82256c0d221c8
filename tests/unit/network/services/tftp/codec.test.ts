import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildTftp, parseTftp, type TftpPacket } from '../../../../../src-main/network/services/tftp/codec.ts'
import { takesAnyBytes } from '../../../../support/any-bytes.ts'

const word = fc.nat(0xffff)
const text = fc.string({ minLength: 1, maxLength: 40 }).filter((one) => !one.includes('\0'))
const small = text.map((one) => one.toLowerCase())
const options = fc.array(fc.tuple(small, text), { maxLength: 3 }).map((entries) => new Map(entries))
const packet: fc.Arbitrary<TftpPacket> = fc.oneof(
  fc.record({ kind: fc.constantFrom('read' as const, 'write' as const), file: text, mode: small, options }),
  fc.record({ kind: fc.constant('data' as const), block: word, bytes: fc.uint8Array({ maxLength: 600 }) }),
  fc.record({ kind: fc.constant('ack' as const), block: word }),
  fc.record({ kind: fc.constant('error' as const), code: word, message: text }),
  fc.record({ kind: fc.constant('options' as const), options: options.filter((one) => one.size > 0) }),
)

describe('TFTP packets', () => {
  it('are read as they were built', () => {
    fc.assert(
      fc.property(packet, (one) => {
        expect(parseTftp(buildTftp(one))).toEqual(one)
      }),
    )
  })

  it('are read from any bytes, or not', () => {
    takesAnyBytes(parseTftp, packet.map(buildTftp))
  })

  it('requests may be padded, in any case, and must end', () => {
    const bytes = (one: string): Uint8Array => Uint8Array.of(0, 1, ...new TextEncoder().encode(one))
    const read = { kind: 'read', file: 'a', mode: 'octet', options: new Map() }
    for (const one of ['a\0OCTET\0', 'a\0octet\0\0', 'a\0octet\0\0\0\0']) expect(parseTftp(bytes(one))).toEqual(read)
    expect(parseTftp(bytes('a\0octet\0BlkSize\u00001428\0'))).toEqual({ ...read, options: new Map([['blksize', '1428']]) })
    for (const one of ['a\0octet', 'a\0', '\0octet\0', 'a\0octet\0blksize\0', `${'a'.repeat(600)}\0octet\0`])
      expect(parseTftp(bytes(one))).toBeNull()
  })
})
