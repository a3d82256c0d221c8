import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { X86Filter } from '../../../src-main/archive/x86-filter.ts'
import { XzDecoder } from '../../../src-main/archive/xz.ts'
import { hasTool, runTool, sampleBytes } from './reference-tools.ts'

function decode(packed: Uint8Array, chunk = packed.length): Uint8Array {
  const parts: Uint8Array[] = []
  const decoder = new XzDecoder((bytes) => parts.push(Uint8Array.from(bytes)))
  for (let at = 0; at < packed.length; at += chunk) decoder.push(packed.subarray(at, at + chunk))
  decoder.end()
  return concatBytes(parts)
}

function failure(run: () => unknown): AppError {
  try {
    run()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** `printf 'Hello, Coppice.\n' | xz`: works without a tool on the system. */
const HELLO = new Uint8Array(
  Buffer.from('/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAPSGVsbG8sIENvcHBpY2UuCgDuTKmzU+CnSQABKBDlC2xgH7bzfQEAAAAABFla', 'base64'),
)
const xz = hasTool('xz')

describe('xz', () => {
  it('decodes a stored block with CRC-64', () => {
    expect(decode(HELLO)).toEqual(utf8('Hello, Coppice.\n'))
    expect(decode(HELLO, 1)).toEqual(utf8('Hello, Coppice.\n'))
  })

  it('refuses what is not .xz', () => {
    for (const text of ['', 'x', 'this is a text, not an archive']) expect(failure(() => decode(utf8(text))).code).toBe('corrupt')
  })

  it('never hangs or crashes on flipped bytes, and notices each', () => {
    fc.assert(
      fc.property(fc.nat(HELLO.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bad = Uint8Array.from(HELLO)
        bad[at]! ^= change
        expect(['corrupt', 'unsupported']).toContain(failure(() => decode(bad)).code)
      }),
    )
  })

  it('notices every truncation', () => {
    for (let length = 0; length < HELLO.length; length++) expect(failure(() => decode(HELLO.subarray(0, length))).code).toBe('corrupt')
  })
})

describe.skipIf(!xz)('xz, beside the xz tool (skipped where there is none)', { timeout: 60_000 }, () => {
  const data = sampleBytes(300_000)

  it('slides its window over data larger than that', () => {
    const large = sampleBytes(2_600_000)
    const packed = runTool('xz', ['-c', '--lzma2=preset=0,dict=64KiB'], large)
    expect(Buffer.compare(decode(packed, 65_536), large)).toBe(0)
  })

  it.each([
    ['-0'],
    ['-6'],
    ['-9e'],
    ['--check=crc32'],
    ['--check=sha256'],
    ['--check=none'],
    ['--block-size=50000'],
    ['--lzma2=preset=6,lc=0,lp=4,pb=4'],
    ['--lzma2=preset=6,lc=4,lp=0,pb=0'],
    ['--lzma2=preset=1,dict=4KiB'],
    ['--lzma2=preset=6,dict=1MiB,nice=4'],
  ])('decodes what `xz %s` writes', (option) => {
    const packed = runTool('xz', ['-c', ...option.split(' ')], data)
    expect(Buffer.compare(decode(packed, 65_536), data)).toBe(0)
  })

  it('decodes joined streams with padding, the empty file, and chunks of any size', () => {
    const one = runTool('xz', ['-c'], utf8('one '))
    const two = runTool('xz', ['-c', '--check=crc32'], utf8('two'))
    const none = runTool('xz', ['-c'], new Uint8Array(0))
    expect(decode(concatBytes([one, new Uint8Array(8), none, two]))).toEqual(utf8('one two'))
    expect(decode(none)).toHaveLength(0)
    fc.assert(fc.property(fc.integer({ min: 1, max: 50 }), (chunk) => Buffer.compare(decode(one, chunk), utf8('one ')) === 0))
    expect(failure(() => decode(concatBytes([one, new Uint8Array(3)]))).code).toBe('corrupt')
  })

  it('gives back any bytes (round trip)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
        expect(Buffer.compare(decode(runTool('xz', ['-c', '-1'], bytes)), bytes)).toBe(0)
      }),
      { numRuns: 20 },
    )
  })

  it('refuses filters and dictionaries beyond its limits', () => {
    expect(failure(() => decode(runTool('xz', ['-c', '--arm', '--lzma2'], utf8('code')))).code).toBe('unsupported')
    expect(failure(() => decode(runTool('xz', ['-c', '--x86', '--arm', '--lzma2'], utf8('code')))).code).toBe('unsupported')
    expect(failure(() => decode(runTool('xz', ['-c', '--x86=start=4096', '--lzma2'], utf8('code')))).code).toBe('unsupported')
    expect(failure(() => decode(runTool('xz', ['-c', '--lzma2=preset=0,dict=128MiB'], utf8('big')))).code).toBe('unsupported')
  })

  it('undoes the x86 filter, also where opcodes stand close together and over the edges of pieces', () => {
    const byte = fc.oneof({ weight: 5, arbitrary: fc.constantFrom(0xe8, 0xe9, 0x00, 0xff) }, { weight: 2, arbitrary: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 3000, size: 'max' }), fc.integer({ min: 1, max: 100 }), (code, chunk) => {
        const plain = Uint8Array.from(code)
        const parts: Uint8Array[] = []
        const packed = runTool('xz', ['-c', '--x86', '--lzma2=preset=0'], plain)
        expect(decode(packed, chunk)).toEqual(plain)
        // And fed by hand: LZMA2 hands over what it has in larger pieces than these.
        const raw = runTool('xz', ['-c', '--format=raw', '--x86', '--lzma2=preset=0'], plain)
        const filtered = runTool('xz', ['-dc', '--format=raw', '--lzma2=preset=0'], raw)
        const filter = new X86Filter((bytes) => parts.push(Uint8Array.from(bytes)))
        for (let at = 0; at < filtered.length; at += chunk) filter.push(filtered.subarray(at, at + chunk))
        filter.end()
        expect(concatBytes(parts)).toEqual(plain)
      }),
      { numRuns: 25 },
    )
    const node = new Uint8Array(readFileSync(process.execPath).subarray(4_000_000, 5_000_000))
    expect(decode(runTool('xz', ['-c', '--x86', '--lzma2=preset=0'], node))).toEqual(node)
  })

  it('notices damage anywhere in packed data', () => {
    const packed = runTool('xz', ['-c', '-6'], data.subarray(0, 20_000))
    fc.assert(
      fc.property(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bad = Uint8Array.from(packed)
        bad[at]! ^= change
        expect(['corrupt', 'unsupported']).toContain(failure(() => decode(bad)).code)
      }),
      { numRuns: 150 },
    )
    fc.assert(
      fc.property(fc.nat(packed.length - 1), (length) => failure(() => decode(packed.subarray(0, length))).code === 'corrupt'),
      { numRuns: 50 },
    )
  })
})
