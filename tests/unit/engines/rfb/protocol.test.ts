import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { ClientParser, MAX_CUT_TEXT, MAX_ENCODINGS, MAX_MONITORS, type ClientMessage } from '../../../../src-main/engines/rfb/protocol.ts'
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'

const HELLO = concatBytes([utf8('RFB 003.008\n'), Uint8Array.of(1, 1)])

/** After the handshake. */
function parser(): ClientParser {
  const made = new ClientParser()
  made.push(HELLO)
  return made
}

const pixelFormat = (...bytes: number[]): number[] => [0, 0, 0, 0, ...bytes, 0, 0, 0]
const MESSAGES: [name: string, bytes: number[], message: ClientMessage | null][] = [
  [
    'SetPixelFormat',
    pixelFormat(16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0),
    { kind: 'pixelFormat', format: { bitsPerPixel: 16, depth: 16, bigEndian: true, max: [31, 63, 31], shift: [11, 5, 0] } },
  ],
  ['SetEncodings', [2, 0, 0, 2, 0, 0, 0, 7, 255, 255, 255, 33], { kind: 'encodings', encodings: [7, -223] }],
  [
    'FramebufferUpdateRequest',
    [3, 1, 0, 1, 0, 2, 1, 0, 0, 200],
    { kind: 'updateRequest', incremental: true, rect: { x: 1, y: 2, width: 256, height: 200 } },
  ],
  ['KeyEvent', [4, 1, 0, 0, 0, 0, 255, 13], { kind: 'key', keysym: 0xff0d, down: true }],
  ['PointerEvent', [5, 1, 0, 10, 1, 4], { kind: 'pointer', x: 10, y: 260, buttons: 1 }],
  ['ClientCutText', [6, 0, 0, 0, 0, 0, 0, 3, 97, 98, 99], null],
  ['SetDesktopSize', [251, 0, 4, 0, 3, 0, 1, 0, ...new Array<number>(16).fill(0)], { kind: 'setDesktopSize' }],
  ['QEMU extended key', [255, 0, 0, 1, 0, 0, 0, 97, 0, 0, 0, 0x1e], { kind: 'scancode', code: 0x1e, down: true }],
  ['QEMU extended key without a scancode', [255, 0, 0, 0, 0, 0, 0, 97, 0, 0, 0, 0], { kind: 'key', keysym: 97, down: false }],
]

describe('what viewers send', () => {
  test.each(MESSAGES)('%s', (_name, bytes, message) => {
    expect(parser().push(Uint8Array.from(bytes))).toEqual(message ? [message] : [])
  })

  test('comes in any pieces', () => {
    const all = concatBytes([HELLO, ...MESSAGES.map(([, bytes]) => Uint8Array.from(bytes))])
    const whole = new ClientParser().push(all)
    expect(whole).toHaveLength(3 + MESSAGES.length - 1)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
        const made = new ClientParser()
        const seen: ClientMessage[] = []
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = sizes[turn % sizes.length]!
          seen.push(...made.push(all.subarray(at, at + size)))
          at += size
        }
        expect(seen).toEqual(whole)
      }),
      { numRuns: 50 },
    )
  })

  test.each([
    ['RFB 003.003\n', 3],
    ['RFB 003.007\n', 7],
    ['RFB 003.008\n', 8],
    ['RFB 003.889\n', 8],
    ['RFB 003.005\n', 3],
  ])('%j is version 3.%i', (text, minor) => {
    expect(new ClientParser().push(utf8(text))).toEqual([{ kind: 'version', minor }])
  })
})

describe('limits', () => {
  test.each<[string, number[] | Uint8Array, RegExp]>([
    ['another protocol', utf8('GET / HTTP/1'), /no VNC viewer/],
    ['an unknown message', [...HELLO, 77], /message type 77/],
    ['too much clipboard', [...HELLO, 6, 0, 0, 0, 0xff, 0, 0, 0], /clipboard/],
    ['too many monitors', [...HELLO, 251, 0, 0, 0, 0, 0, MAX_MONITORS + 1, 0], /monitors/],
    ['an unknown QEMU message', [...HELLO, 255, 1], /QEMU message 1/],
    ['a palette', [...HELLO, ...pixelFormat(8, 8, 0, 0, 0, 7, 0, 7, 0, 3, 0, 3, 6)], /palette/],
    ['24 bits', [...HELLO, ...pixelFormat(24, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16)], /24 bits/],
    ['colours beyond the pixel', [...HELLO, ...pixelFormat(16, 16, 0, 1, 255, 255, 0, 63, 0, 31, 11, 5, 0)], /do not fit/],
  ])('%s is refused', (_name, bytes, sentence) => {
    expect(() => new ClientParser().push(Uint8Array.from(bytes))).toThrow(sentence)
  })

  test('of a long list the first encodings count, and what follows is understood', () => {
    const count = 0xffff
    const bytes = new Uint8Array(4 + 4 * count)
    bytes.set([2, 0, count >> 8, count & 255])
    const [list, ...rest] = parser().push(concatBytes([bytes, Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 97)]))
    expect(list).toMatchObject({ encodings: { length: MAX_ENCODINGS } })
    expect(rest).toEqual([{ kind: 'key', keysym: 97, down: false }])
  })

  test('clipboard text up to the limit is passed over', () => {
    const head = Uint8Array.of(6, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (MAX_CUT_TEXT >> shift) & 255))
    expect(parser().push(concatBytes([head, new Uint8Array(MAX_CUT_TEXT), Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 98)]))).toEqual([
      { kind: 'key', keysym: 98, down: false },
    ])
  })

  test('any bytes give messages or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parser().push(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid-input' })
        }
      }),
    )
  })
})
