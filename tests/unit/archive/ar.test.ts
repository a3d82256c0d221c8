import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { AR_HEADER_SIZE, isArMagic, nextArHeader, parseArHeader } from '../../../src-main/archive/ar.ts'
import { hasTool, runTool } from './reference-tools.ts'

const header = (name: string, size: string): Uint8Array => utf8(`${name.padEnd(16)}0           0     0     100644  ${size.padEnd(10)}\`\n`)

describe('ar', () => {
  it('reads a member header', () => {
    expect(parseArHeader(header('data.tar.xz', '51818436'))).toEqual({ name: 'data.tar.xz', size: 51_818_436 })
    expect(parseArHeader(header('debian-binary/', '4')).name).toBe('debian-binary')
    expect(nextArHeader(68, 5)).toBe(74)
  })

  it('refuses anything else', () => {
    expect(isArMagic(utf8('!<arch>\n'))).toBe(true)
    expect(isArMagic(utf8('PK\x03\x04'))).toBe(false)
    for (const bad of [header('a', '-1'), header('a', ''), header('a', '1e3'), header('a', '4').subarray(0, 59), new Uint8Array(60)])
      expect(() => parseArHeader(bad)).toThrow(AppError)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: AR_HEADER_SIZE, maxLength: AR_HEADER_SIZE }), (bytes) => {
        try {
          expect(parseArHeader(bytes).size).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
        }
      }),
    )
  })

  it.skipIf(!hasTool('ar'))('reads what the ar tool writes (skipped where there is none)', () => {
    const folder = mkdtempSync(join(tmpdir(), 'coppice-ar-'))
    try {
      writeFileSync(join(folder, 'odd'), 'odd')
      writeFileSync(join(folder, 'even'), 'even')
      runTool('ar', ['rc', 'both.a', 'odd', 'even'], undefined, folder)
      const archive = readFileSync(join(folder, 'both.a'))
      expect(isArMagic(archive)).toBe(true)
      const first = parseArHeader(archive.subarray(8, 68))
      const second = nextArHeader(68, first.size)
      expect(first).toEqual({ name: 'odd', size: 3 })
      expect(parseArHeader(archive.subarray(second, second + AR_HEADER_SIZE))).toEqual({ name: 'even', size: 4 })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
