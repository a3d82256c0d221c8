import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { writeCpio, type CpioEntry } from '../../../src-main/archive/cpio.ts'
import { hasTool, runTool } from './reference-tools.ts'

interface Read {
  path: string
  mode: number
  data: Uint8Array
  device: string
}

/** A plain reader of the format, as the kernel's initramfs documentation describes it. */
function readCpio(archive: Uint8Array): Read[] {
  const text = (at: number, length: number): string => new TextDecoder().decode(archive.subarray(at, at + length))
  const found: Read[] = []
  for (let at = 0; ;) {
    expect(text(at, 6)).toBe('070701')
    const field = (index: number): number => parseInt(text(at + 6 + index * 8, 8), 16)
    const size = field(6)
    const nameSize = field(11)
    const path = text(at + 110, nameSize - 1)
    const dataAt = at + ((110 + nameSize + 3) & ~3)
    if (path === 'TRAILER!!!') return found
    found.push({ path, mode: field(1), data: archive.subarray(dataAt, dataAt + size), device: `${field(9)}:${field(10)}` })
    at = dataAt + ((size + 3) & ~3)
  }
}

const entries = new Map<string, CpioEntry>([
  ['init', { kind: 'file', mode: 0o755, data: utf8('#!/bin/sh\n') }],
  ['dev/console', { kind: 'device', mode: 0o600, major: 5, minor: 1 }],
  ['bin/sh', { kind: 'symlink', target: 'busybox' }],
  ['tmp', { kind: 'directory', mode: 0o1777 }],
])

describe('cpio', () => {
  it('writes files, folders, links and devices, parents first', () => {
    const found = readCpio(writeCpio(entries))
    expect(found.map((one) => one.path)).toEqual(['bin', 'bin/sh', 'dev', 'dev/console', 'init', 'tmp'])
    expect(found.map((one) => one.mode.toString(8))).toEqual(['40755', '120777', '40755', '20600', '100755', '41777'])
    expect(found[1]!.data).toEqual(utf8('busybox'))
    expect(found[3]!.device).toBe('5:1')
  })

  it('gives the same bytes for any order of the same entries', () => {
    const expected = writeCpio(entries)
    fc.assert(
      fc.property(fc.shuffledSubarray([...entries], { minLength: entries.size }), (order) => {
        expect(Buffer.compare(writeCpio(new Map(order)), expected)).toBe(0)
      }),
    )
  })

  it('keeps any contents', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,20}$/), fc.uint8Array({ maxLength: 50 })), (files) => {
        const all = new Map(Object.entries(files).map(([path, data]) => [path, { kind: 'file', mode: 0o644, data } as const]))
        const found = new Map(readCpio(writeCpio(all)).map((one) => [one.path, Uint8Array.from(one.data)]))
        expect(found).toEqual(new Map(Object.entries(files)))
      }),
    )
  })

  it.skipIf(!hasTool('cpio'))('is read by the cpio tool (skipped where there is none)', () => {
    const listing = new TextDecoder().decode(runTool('cpio', ['-t', '--quiet'], writeCpio(entries)))
    expect(listing.trim().split('\n')).toEqual(['bin', 'bin/sh', 'dev', 'dev/console', 'init', 'tmp'])
  })
})
