import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { planDrive } from '../../../../src-main/host/planner/plan-files.ts'
import { fileFact } from '../../../../src-main/host/planner/probe-files.ts'
import { Report } from '../../../../src-main/host/planner/report.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

describe('what is found of a file', () => {
  test('tells what is not there from what cannot be read', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'file'), 'x')
    await symlink('loop', join(folder, 'loop'))
    const kind = async (path: string): Promise<string> => (await fileFact('/', path)).kind
    expect(await kind(join(folder, 'file'))).toBe('file')
    expect(await kind(join(folder, 'none'))).toBe('missing')
    expect(await kind(join(folder, 'file', 'below'))).toBe('missing')
    expect(await kind('nbd://server/disk')).toBe('network')
    const looped = await fileFact('/', join(folder, 'loop'))
    expect(looped).toMatchObject({ kind: 'unreadable', reason: 'its path leads through links in a circle' })
    const report = new Report()
    const drive = { id: 'd', kind: 'disk' as const, path: looped.path, format: 'raw' as const, readOnly: false, limits: null }
    planDrive(drive, 'drives.0.path', { files: new Map([[looped.path, looped]]) }, report)
    expect(report.problems).toEqual([
      { path: 'drives.0.path', message: `The disk image “${looped.path}” cannot be read: its path leads through links in a circle.` },
    ])
    expect(await kind(`/${'a'.repeat(300)}`)).toBe('unreadable')
  })
})
