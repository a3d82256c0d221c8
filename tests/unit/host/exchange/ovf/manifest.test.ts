import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import {
  buildManifest,
  compareManifest,
  parseManifest,
  type DigestKind,
  type ManifestLine,
} from '../../../../../src-main/host/exchange/ovf/manifest.ts'
import { plainName } from '../../../../../src-main/host/exchange/text/file-reference.ts'

const digest = (kind: DigestKind, text: string): string => createHash(kind).update(text).digest('hex')
const parse = (text: string): ManifestLine[] => parseManifest(utf8(text), 'a.mf')

describe('a manifest', () => {
  test('of ovftool, of OpenSSL and of VirtualBox', () => {
    const [one, two, three] = [digest('sha1', 'x'), digest('sha256', 'y'), digest('sha512', 'z')]
    expect(parse(`SHA1(a.ovf)= ${one}\r\nSHA256 (my disk (1).vmdk) = ${two.toUpperCase()}\n\nSHA512(b.iso)= ${three}`)).toEqual([
      { file: 'a.ovf', kind: 'sha1', digest: one },
      { file: 'my disk (1).vmdk', kind: 'sha256', digest: two },
      { file: 'b.iso', kind: 'sha512', digest: three },
    ])
  })

  test('of two digests of a file the stronger one counts, in any order', () => {
    const lines = [`SHA1(a)= ${digest('sha1', '')}`, `SHA256(a)= ${digest('sha256', '')}`]
    for (const text of [lines.join('\n'), lines.toReversed().join('\n')]) expect(parse(text)).toMatchObject([{ file: 'a', kind: 'sha256' }])
  })

  test.each([
    ['hello', 'line 1'],
    [`SHA1(a)= ${'0'.repeat(39)}`, '39 digits instead of 40'],
    [`MD5(a)= ${'0'.repeat(32)}`, 'MD5'],
    [`SHA1(../a)= ${'0'.repeat(40)}`, 'not a file beside it'],
    [`SHA1(/etc/passwd)= ${'0'.repeat(40)}`, 'not a file beside it'],
    [`SHA1(a)= ${'0'.repeat(40)}\nSHA1(a)= ${'1'.repeat(40)}`, 'two different digests'],
    // As long as a line may be: time must not grow faster than it.
    [`SHA1(${') '.repeat(130_000)}`, 'line 1'],
    [`SHA1(a)= ${'0'.repeat(130_000)}${' '.repeat(130_000)}x`, 'line 1'],
    [`SHA1${' '.repeat(260_000)}x`, 'line 1'],
    ['\n'.repeat(5000), '4096 lines'],
    [' '.repeat(300_000), '256 KiB'],
  ])('%#: refused', (text, sentence) => {
    expect(() => parse(text)).toThrow(AppError)
    expect(() => parse(text)).toThrow(sentence)
  })

  test('what is missing and what is extra', () => {
    const lines = ['a.ovf', 'a.vmdk'].map((file): ManifestLine => ({ file, kind: 'sha256', digest: digest('sha256', file) }))
    expect(compareManifest(lines, ['a.ovf', 'b.vmdk'])).toEqual({ missing: ['a.vmdk'], extra: ['b.vmdk'] })
  })

  test('built and parsed is the same', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .filter((text) => plainName(text) === text && !/\p{Cc}|[\u2028\u2029]/u.test(text))
    const line = fc
      .record({ file: name, kind: fc.constantFrom<DigestKind>('sha1', 'sha256', 'sha512'), seed: fc.string() })
      .map(({ file, kind, seed }): ManifestLine => ({ file, kind, digest: digest(kind, seed) }))
    fc.assert(
      fc.property(fc.uniqueArray(line, { selector: ({ file }) => file, maxLength: 10 }), (lines) => {
        expect(parse(buildManifest(lines))).toEqual(lines)
      }),
    )
  })

  test('is not built with what it cannot hold', () => {
    expect(() => buildManifest([{ file: '../a', kind: 'sha1', digest: '0'.repeat(40) }])).toThrow(AppError)
    expect(() => buildManifest([{ file: 'a', kind: 'sha1', digest: '0' }])).toThrow(AppError)
  })
})
