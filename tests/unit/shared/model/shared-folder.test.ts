import { describe, expect, test } from 'vitest'
import { mountCommand, shareRisk } from '../../../../src-shared/model/shared-folder.ts'

test('the command that mounts a folder', () => {
  expect(mountCommand('docs')).toBe('mkdir -p /mnt/docs && mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 docs /mnt/docs')
})

describe('a folder that the guest may write', () => {
  const risk = (path: string, bundle = '/home/u/vms/web.coppice', readOnly = false): boolean =>
    shareRisk({ path, readOnly }, bundle) !== null

  test.each(['/', '/home', '/home/u/vms', '/home/u/vms/', '/home/u/vms/web.coppice', '/home/u/./x/../vms'])(
    '%s has the machine in it',
    (path) => {
      expect(risk(path)).toBe(true)
      expect(risk(path, undefined, true)).toBe(false)
    },
  )

  test.each(['/home/u/work', '/home/u/vms/other', '/home/u/vm', '/home/u/vms/web.coppice/disks/x'])('%s has not', (path) => {
    expect(risk(path)).toBe(false)
  })

  test('on Windows, in whatever way it is written', () => {
    expect(risk('c:/Users', 'C:\\Users\\u\\web.coppice')).toBe(true)
    expect(risk('C:\\', 'C:\\Users\\u\\web.coppice')).toBe(true)
    expect(risk('D:\\', 'C:\\Users\\u\\web.coppice')).toBe(false)
  })
})
