import { expect, test } from 'vitest'
import type { Drive } from '../../../../src-shared/model/machine.ts'
import { leftOut } from '../../../../src-main/host/snapshots/own-disks.ts'

const drive = (change: Partial<Drive>): Drive =>
  ({ id: 'd', kind: 'disk', path: 'disks/d.qcow2', format: 'qcow2', readOnly: false, limits: null, ...change }) as Drive
const docs = { tag: 'docs', path: '/home/me/docs', readOnly: true }

test('a machine with nothing but its own disks leaves nothing out', () => {
  expect(leftOut({ drives: [drive({})], sharedFolders: [] }, 'qemu', true)).toEqual([])
})

test('shared folders, files elsewhere and floppy disks are named; what QEMU does with mounted folders where it runs', () => {
  const drives = [
    drive({}),
    drive({ id: 'ro', path: '/images/base.img', readOnly: true }),
    drive({ id: 'cd', kind: 'cdrom', path: '/iso/debian.iso' }),
    drive({ id: 'fd', kind: 'floppy', path: 'disks/floppy.img' }),
    drive({ id: 'empty', kind: 'floppy', path: null }),
  ]
  const said = leftOut({ drives, sharedFolders: [docs] }, 'embedded', true)
  expect(said).toHaveLength(3)
  expect(said[0]).toContain('Shared folders (“docs”)')
  expect(said[1]).toContain('“/images/base.img”, “/iso/debian.iso”')
  expect(said[2]).toContain('Floppy disks')
  expect(leftOut({ drives: [], sharedFolders: [docs] }, 'qemu', false)).toHaveLength(1)
  expect(leftOut({ drives: [], sharedFolders: [docs] }, 'qemu', true)[1]).toContain('the agent in the guest unmounts them')
})
