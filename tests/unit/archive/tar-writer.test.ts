import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import { GiB } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { listTar } from '../../../src-main/archive/tar-index.ts'
import { tarEnd, tarHeader, tarPadding } from '../../../src-main/archive/tar-writer.ts'
import { parseTarHeader } from '../../../src-main/archive/tar.ts'
import { hasTool, runTool, sampleBytes } from './reference-tools.ts'

function archive(files: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const parts = files.flatMap(([name, data]) => [
    tarHeader({ name, type: 'file', size: data.length, mtime: 1_700_000_000 }),
    data,
    tarPadding(data.length),
  ])
  return concatBytes([...parts, tarEnd()])
}

/** A read that fails outside of the archive, as files do. */
function reader(bytes: Uint8Array) {
  return async (offset: number, length: number): Promise<Uint8Array> => {
    if (offset < 0 || offset + length > bytes.length) throw new RangeError('outside')
    return bytes.subarray(offset, offset + length)
  }
}

const LONG = `${'d'.repeat(140)}/${'ü'.repeat(80)}`

describe('a tar archive that is written', () => {
  it('is listed by its headers, and its contents are where the list says', async () => {
    const files = [
      ['a.ovf', utf8('<xml/>')],
      ['empty', new Uint8Array(0)],
      [LONG, sampleBytes(1000)],
      [`${'d'.repeat(120)}/${'f'.repeat(90)}`, sampleBytes(512)],
    ] as const
    const bytes = archive(files)
    const members = await listTar(bytes.length, reader(bytes))
    expect(members.map(({ name }) => name)).toEqual(files.map(([name]) => name))
    members.forEach((member, at) => {
      expect(member).toMatchObject({ type: 'file', mode: 0o644, mtime: 1_700_000_000 })
      expect(Buffer.compare(bytes.subarray(member.offset, member.offset + member.size), files[at]![1])).toBe(0)
    })
  })

  it('has any names and sizes that can be', async () => {
    const names = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 400 }).filter((name) => !name.includes('\0'))
    await fc.assert(
      fc.asyncProperty(names, fc.nat(2000), async (name, size) => {
        const bytes = archive([[name, new Uint8Array(size)]])
        expect(await listTar(bytes.length, reader(bytes))).toMatchObject([{ name: name.toWellFormed(), size }])
      }),
      { numRuns: 50 },
    )
  })

  it('has sizes of 8 GiB and more', () => {
    for (const size of [8 * GiB - 1, 8 * GiB, 2 ** 52 + 1])
      expect(parseTarHeader(tarHeader({ name: 'disk.vmdk', type: 'file', size, mtime: 0 })).entry.size).toBe(size)
  })

  it('refuses what no archive can hold', () => {
    for (const [name, size] of [
      ['', 0],
      ['a\0b', 0],
      ['x'.repeat(5000), 0],
      ['a', -1],
      ['a', 2 ** 60],
      ['a', 1.5],
    ] as const)
      expect(() => tarHeader({ name, type: 'file', size, mtime: 0 })).toThrow(AppError)
  })
})

describe('the list of a damaged archive', () => {
  it('is a value or an AppError, and nothing is read outside', async () => {
    const good = archive([
      ['a', utf8('hello')],
      [LONG, sampleBytes(700)],
    ])
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(good.length), async (at, change, length) => {
        const bad = Uint8Array.from(good.subarray(0, length))
        if (at < bad.length) bad[at]! ^= change
        try {
          await listTar(bad.length, reader(bad))
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
    )
  })

  it('names a member that is cut off', async () => {
    const bytes = concatBytes([tarHeader({ name: 'disk.vmdk', type: 'file', size: 9 * GiB, mtime: 0 }), new Uint8Array(512)])
    await expect(listTar(bytes.length, reader(bytes))).rejects.toThrow('“disk.vmdk”')
  })
})

describe.skipIf(!hasTool('tar'))('beside the tar tool (skipped where there is none)', () => {
  it('unpacks what is written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'coppice-tar-'))
    try {
      const data = sampleBytes(100_001)
      const directory = tarHeader({ name: 'disks/', type: 'directory', size: 0, mtime: 1_700_000_000 })
      writeFileSync(
        join(folder, 'a.tar'),
        concatBytes([
          directory,
          archive([
            ['disks/a.qcow2', data],
            [LONG, utf8('long')],
          ]),
        ]),
      )
      runTool('tar', ['-xf', 'a.tar'], undefined, folder)
      expect(Buffer.compare(readFileSync(join(folder, 'disks/a.qcow2')), data)).toBe(0)
      expect(readFileSync(join(folder, LONG), 'utf8')).toBe('long')
      expect(statSync(join(folder, 'disks/a.qcow2')).mtimeMs).toBe(1_700_000_000_000)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('lists a file of more than 8 GiB', () => {
    const folder = mkdtempSync(join(tmpdir(), 'coppice-tar-'))
    try {
      const size = 8 * GiB + 512
      const file = join(folder, 'large.tar')
      writeFileSync(file, tarHeader({ name: 'large.vmdk', type: 'file', size, mtime: 0 }))
      // The contents are a hole, which the tool skips.
      truncateSync(file, 512 + size)
      const after = concatBytes([tarHeader({ name: 'after', type: 'file', size: 0, mtime: 0 }), tarEnd()])
      writeFileSync(file, after, { flag: 'a' })
      const listed = new TextDecoder().decode(runTool('tar', ['-tvf', 'large.tar'], undefined, folder))
      expect(listed).toMatch(new RegExp(`${size} .*large\\.vmdk\\n.* 0 .*after\\n`))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
