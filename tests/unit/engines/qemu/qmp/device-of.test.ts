import { expect, test } from 'vitest'
import { deviceOf } from '../../../../../src-main/engines/qemu/qmp/device-of.ts'

test.each([
  ['cd0', 'cd0'],
  ['/machine/peripheral/cd0', 'cd0'],
  ['/machine/peripheral/disk0/virtio-backend', 'disk0'],
  ['', ''],
  [undefined, ''],
  [{ cd0: 1 }, ''],
])('the device that QEMU calls %j is %j', (name, id) => {
  expect(deviceOf(name)).toBe(id)
})
