import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TerminalText } from '../../../../../src-main/app/cli/console/terminal-text.ts'
import { UntilMatcher, WINDOW } from '../../../../../src-main/app/cli/console/until-matcher.ts'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'

/** What a shell on a serial port prints for `echo $((6*7))`, with colours, a cursor query and a title. */
const SHELL =
  '\u001b[1;34m/ #\u001b[0m echo $((6*7))\r\n42\r\n\u001b]0;title 42\u0007\u001b[6n/ # größe €😀\r\r\nend\u001bP1;2|42\u001b\\\u001b(B.\r\n'
const PLAIN = '/ # echo $((6*7))\n42\n/ # größe €😀\nend.\n'

function textOf(chunks: Uint8Array[]): string {
  const text = new TerminalText()
  return chunks.map((chunk) => text.push(chunk)).join('')
}

function cutAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set(cuts)].toSorted((a, b) => a - b)
  return [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length))
}

describe('TerminalText', () => {
  it('gives the same plain text however the bytes are cut', () => {
    const bytes = utf8(SHELL)
    expect(textOf([bytes])).toBe(PLAIN)
    expect(textOf([...bytes].map((byte) => Uint8Array.of(byte)))).toBe(PLAIN)
    for (let at = 0; at <= bytes.length; at++) expect(textOf(cutAt(bytes, [at]))).toBe(PLAIN)
  })

  it('gives the same for any bytes and any cuts', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200)), (bytes, cuts) => {
        const places = cuts.filter((at) => at <= bytes.length)
        expect(textOf(cutAt(bytes, places))).toBe(textOf([bytes]))
      }),
    )
  })

  it('keeps a lone carriage return, which draws over the line', () => {
    expect(textOf([utf8('10 %\r20 %\n')])).toBe('10 %\r20 %\n')
  })
})

function matched(pattern: string, chunks: Uint8Array[], before = ''): string | null {
  const matcher = new UntilMatcher(new RegExp(pattern, 'gm'))
  matcher.skip(utf8(before))
  for (const chunk of chunks) {
    const match = matcher.push(chunk)
    if (match !== null) return match
  }
  return null
}

describe('UntilMatcher', () => {
  it('finds a line wherever the bytes are cut', () => {
    const bytes = utf8(SHELL)
    for (let at = 0; at <= bytes.length; at++) expect(matched('^42', cutAt(bytes, [at]))).toBe('42')
    expect(
      matched(
        '^42',
        [...bytes].map((byte) => Uint8Array.of(byte)),
      ),
    ).toBe('42')
  })

  it('does not take the middle of a line, colours or a window title for a line', () => {
    expect(matched('^echo', [utf8(SHELL)])).toBeNull()
    expect(matched('title', [utf8(SHELL)])).toBeNull()
    expect(matched('^\\$', [utf8(SHELL)])).toBeNull()
  })

  it('goes on with the line that was begun before, and does not search it', () => {
    expect(matched('^42', [utf8('42\r\n')], 'login: ')).toBeNull()
    expect(matched('^42', [utf8('42\r\n')], 'login: \r\n')).toBe('42')
    expect(matched('^42', [utf8('42\r\n')])).toBe('42')
    expect(matched('login', [utf8('nothing')], 'login: ')).toBeNull()
  })

  it('takes a prompt with no line end for the end of a line', () => {
    expect(matched('^/ # $', [utf8('42\r\n/ # ')])).toBe('/ # ')
  })

  it('matches over several lines', () => {
    expect(matched('one\\ntwo', [utf8('one\r'), utf8('\ntwo')])).toBe('one\ntwo')
  })

  it('keeps a bounded text and still tells lines apart at its beginning', () => {
    const matcher = new UntilMatcher(/^x/gm)
    for (let written = 0; written < 20 * WINDOW; written += 1000) expect(matcher.push(utf8(`y${'x'.repeat(999)}`))).toBeNull()
    expect(matcher.text.length).toBeLessThanOrEqual(2 * WINDOW)
    expect(matcher.push(utf8('\nx'))).toBe('x')
  })

  it('keeps the text where there is no pattern', () => {
    const matcher = new UntilMatcher(null)
    expect(matcher.push(utf8('anything'))).toBeNull()
    expect(matcher.text).toBe('anything')
  })
})
