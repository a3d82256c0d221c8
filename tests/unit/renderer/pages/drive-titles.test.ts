import { expect, test } from 'vitest'
import { diskTitles, driveTitle } from '../../../../src-renderer/pages/machine/drive-titles.ts'

const drive = (id: string, kind: 'disk' | 'cdrom' = 'disk') => ({ id, kind })

test('a drive has a number where there are several of its kind', () => {
  const drives = [drive('disk0'), drive('cd', 'cdrom'), drive('data')]
  expect(drives.map((one) => driveTitle(one, drives))).toEqual(['Disk 1', 'CD drive', 'Disk 2'])
})

test('disks of states are called as those of the machine, and those that it has no more are told apart', () => {
  const drives = [drive('disk0'), drive('cd', 'cdrom')]
  expect(diskTitles(['disk0'], drives)).toEqual(['Disk'])
  expect(diskTitles(['disk1', 'disk0'], drives)).toEqual(['Former disk', 'Disk'])
  expect(diskTitles(['disk1', 'disk0', 'disk2'], drives)).toEqual(['Former disk 1', 'Disk', 'Former disk 2'])
})
