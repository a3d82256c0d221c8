import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRequest, Reply } from '../../../../src-main/engines/ninep/codec.ts'
import { message, u16, u32, u64, u8 } from '../../../support/ninep-client.ts'

describe('9P messages', () => {
  test.each([
    ['Tversion', message(100, 65535, u32(8192), '9P2000.L'), { kind: 'version', tag: 65535, msize: 8192, version: '9P2000.L' }],
    ['Twalk', message(110, 1, u32(2), u32(3), u16(2), 'a', 'ü'), { kind: 'walk', tag: 1, fid: 2, newFid: 3, names: ['a', 'ü'] }],
    [
      'Twrite',
      message(118, 1, u32(9), u64(2n ** 63n), new Uint8Array([1, 2])),
      { kind: 'write', tag: 1, fid: 9, offset: 2n ** 63n, data: new Uint8Array([1, 2]) },
    ],
    ['Tfsync with a flag', message(50, 1, u32(9), u32(1)), { kind: 'fsync', tag: 1, fid: 9 }],
    ['Tfsync without', message(50, 1, u32(9)), { kind: 'fsync', tag: 1, fid: 9 }],
    [
      'Tgetlock',
      message(54, 1, u32(9), u8(1), u64(5), u64(6), u32(7), 'c'),
      { kind: 'getlock', tag: 1, fid: 9, start: 5n, length: 6n, process: 7, client: 'c' },
    ],
    ['a type that there is not', message(99, 4), { kind: 'unknown', tag: 4 }],
    ['bytes behind the end', message(120, 4, u32(1), u8(0)), { kind: 'malformed', tag: 4 }],
    ['a string longer than the message', message(100, 4, u32(1), u16(100)), { kind: 'malformed', tag: 4 }],
    ['too many names', message(110, 4, u32(2), u32(3), u16(17), ...Array.from({ length: 17 }, () => 'a')), { kind: 'malformed', tag: 4 }],
    ['no UTF-8', message(100, 4, u32(1), u16(1), u8(0xff)), { kind: 'malformed', tag: 4 }],
    ['nothing', new Uint8Array(0), { kind: 'malformed', tag: 65535 }],
    ['another length than it says', message(120, 4, u32(1)).subarray(0, 10), { kind: 'malformed', tag: 4 }],
  ])('%s', (_name, bytes, expected) => {
    expect(parseRequest(bytes)).toEqual(expected)
  })

  test('any bytes are a request, or none', () => {
    const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => {
      // Mostly with a length and a type that let it through to the fields.
      if (bytes.length >= 7) new DataView(bytes.buffer).setUint32(0, bytes.length, true)
      return bytes
    })
    fc.assert(
      fc.property(noise, fc.integer({ min: 0, max: 127 }), (bytes, type) => {
        if (bytes.length >= 7) bytes[4] = type
        expect(typeof parseRequest(bytes).kind).toBe('string')
      }),
      { numRuns: 2000 },
    )
  })

  test('answers have their length, type and tag first, and data behind their count', () => {
    const reply = new Reply(40).qid({ type: 0x80, version: 7, path: 2n ** 40n }).u16(3)
    expect([...reply.finish('walk', 0x1234)].slice(0, 12)).toEqual([22, 0, 0, 0, 111, 0x34, 0x12, 0x80, 7, 0, 0, 0])
    const read = new Reply(40)
    read.bytes.set([1, 2, 3], 11)
    expect([...read.finish('read', 1, 3)]).toEqual([14, 0, 0, 0, 117, 1, 0, 3, 0, 0, 0, 1, 2, 3])
  })
})
