import { expect, test } from 'vitest'
import { formatOfName } from '../../../../src-shared/model/disk-format.ts'

test('the name of a new file asks for a format by its ending alone', () => {
  expect(['a.qcow2', '/b/C.IMG', 'd.e.raw', 'f.vmdk', 'g.vdi', 'h.vhd', 'i.VHDX'].map(formatOfName)).toEqual([
    'qcow2',
    'raw',
    'raw',
    'vmdk',
    'vdi',
    'vhd',
    'vhdx',
  ])
  for (const name of ['qcow2', 'a.', 'a.bin', 'x.qcow2/disk', 'C:\\x.vdi\\disk', 'a.constructor', '']) expect(formatOfName(name)).toBe(null)
})
