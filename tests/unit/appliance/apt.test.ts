import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Apt, parseRecords } from '../../../src-main/appliance/apt.ts'

describe('records of apt-cache show', () => {
  it('reads versions and dependencies; the first of a package counts', () => {
    const text = [
      'Package: linux-image-686\nVersion: 6.1.176-1\nDepends: linux-image-6.1.0-50-686 (= 6.1.176-1), kmod | other\nSize: 1476\n',
      'Package: linux-image-686\nVersion: 6.1.100-1\n',
      'Package: seabios\nVersion: 1.16.2-1\nDescription: BIOS\n more text: here\n',
    ].join('\n')
    expect(parseRecords(text)).toEqual([
      { name: 'linux-image-686', version: '6.1.176-1', depends: ['linux-image-6.1.0-50-686', 'kmod'], size: 1476 },
      { name: 'seabios', version: '1.16.2-1', depends: [], size: 0 },
    ])
    expect(parseRecords('')).toEqual([])
  })
})

describe('where apt is not on the computer', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'coppice-apt-'))
    vi.stubEnv('PATH', folder)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })

  it('says so, and what works instead', async () => {
    await expect(new Apt(folder, 'i386').update()).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'Coppice Linux is put together from Debian’s packages by apt, which is not on this computer. A kernel, ISO or disk image of your own works the same.',
    })
  })
})
