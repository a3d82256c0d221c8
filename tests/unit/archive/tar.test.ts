import { mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { TarReader, type TarEntry } from '../../../src-main/archive/tar.ts'
import { hasTool, runTool, sampleBytes } from './reference-tools.ts'

function readAll(archive: Uint8Array, chunk = 1000): { entry: TarEntry; data: Uint8Array }[] {
  const found: { entry: TarEntry; data: Uint8Array }[] = []
  const reader = new TarReader((entry) => {
    const parts: Uint8Array[] = []
    return {
      data: (bytes) => void parts.push(Uint8Array.from(bytes)),
      end: () => void found.push({ entry, data: concatBytes(parts) }),
    }
  })
  for (let at = 0; at < archive.length; at += chunk) reader.push(archive.subarray(at, at + chunk))
  reader.end()
  return found
}

/** A ustar header; `sum` false leaves the checksum wrong. */
function header(name: string, size: string, flag = '0', sum = true): Uint8Array {
  const block = new Uint8Array(512)
  block.set(utf8(name), 0)
  block.set(utf8('0000644\0'), 100)
  block.set(utf8(size), 124)
  block.set(utf8('00000000000\0'), 136)
  block.set(utf8('        '), 148)
  block.set(utf8(flag), 156)
  block.set(utf8('ustar\x0000'), 257)
  const total = block.reduce((a, b) => a + b, 0) + (sum ? 0 : 1)
  block.set(utf8(`${total.toString(8).padStart(6, '0')}\0 `), 148)
  return block
}

function file(name: string, text: string, flag = '0'): Uint8Array {
  const data = new Uint8Array(Math.ceil(text.length / 512) * 512)
  data.set(utf8(text))
  return concatBytes([header(name, `${text.length.toString(8).padStart(11, '0')}\0`, flag), data])
}

const END = new Uint8Array(1024)

describe('tar', () => {
  it('reads a file, in chunks of any size', () => {
    const archive = concatBytes([file('a.txt', 'hello'), END])
    for (const chunk of [1, 7, 512, 5000]) {
      const [only] = readAll(archive, chunk)
      expect(only!.entry).toMatchObject({ name: 'a.txt', type: 'file', size: 5, mode: 0o644 })
      expect(only!.data).toEqual(utf8('hello'))
    }
  })

  it('takes names and sizes from pax records', () => {
    const archive = concatBytes([file('x', '17 path=new name\n', 'x'), file('old', 'text'), file('next', ''), END])
    expect(readAll(archive).map((one) => one.entry.name)).toEqual(['new name', 'next'])
  })

  it('names its limits and refuses damage', () => {
    const bad: Uint8Array[] = [
      concatBytes([header('a', '00000000005\0', '0', false), new Uint8Array(512)]),
      concatBytes([header('a', '0000000x005\0')]),
      concatBytes([file('x', '99 path=too short\n', 'x'), END]),
      concatBytes([file('x', 'y'.repeat(5000), 'L'), END]),
      concatBytes([file('a', 'hello')]).subarray(0, 600),
      header('a', '77777777777\0'),
    ]
    for (const archive of bad) expect(() => readAll(archive)).toThrow(AppError)
  })

  it('never crashes on any bytes', () => {
    const good = concatBytes([file('a.txt', 'hello'), file('x', '17 path=new name\n', 'x'), file('b', 'text'), END])
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(good.length), (at, change, length) => {
        const bad = Uint8Array.from(good.subarray(0, length))
        if (at < bad.length) bad[at]! ^= change
        try {
          readAll(bad)
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
    )
  })
})

describe.skipIf(!hasTool('tar'))('tar, beside the tar tool (skipped where there is none)', () => {
  it.each(['ustar', 'gnu', 'pax'])('reads what `tar --format=%s` writes', (format) => {
    const folder = mkdtempSync(join(tmpdir(), 'coppice-tar-'))
    try {
      const long = format === 'ustar' ? `${'d'.repeat(80)}/${'f'.repeat(90)}` : `${'d'.repeat(140)}/${'f'.repeat(140)}`
      mkdirSync(join(folder, long, '..'), { recursive: true })
      const data = sampleBytes(200_001)
      writeFileSync(join(folder, long), data)
      writeFileSync(join(folder, 'empty'), '')
      symlinkSync('empty', join(folder, 'link'))
      const found = readAll(runTool('tar', ['-c', `--format=${format}`, '.'], undefined, folder), 4096)
      const byName = new Map(found.map((one) => [one.entry.name, one]))
      expect(Buffer.compare(byName.get(`./${long}`)!.data, data)).toBe(0)
      expect(byName.get('./empty')!.data).toHaveLength(0)
      expect(byName.get('./link')!.entry).toMatchObject({ type: 'symlink', link: 'empty' })
      expect(byName.get('./')!.entry.type).toBe('directory')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
