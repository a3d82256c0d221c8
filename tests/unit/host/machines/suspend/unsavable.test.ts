import { expect, test } from 'vitest'
import { refuseUnsavable } from '../../../../../src-main/host/machines/suspend/unsavable.ts'
import { qemuSpec } from '../../../../support/qemu-spec.ts'
import { specDrive } from '../../../../support/spec-drive.ts'

test('a machine with an NVMe disk is not suspended, and it is said which disk', () => {
  const drives = [specDrive('root', 'disk'), specDrive('fast', 'disk', { bus: 'nvme' })]
  expect(() => refuseUnsavable('web-1', qemuSpec({ drives }))).toThrow('“fast”')
  expect(() => refuseUnsavable('web-1', qemuSpec({ drives: [drives[0]!, specDrive('usb', 'disk', { bus: 'usb' })] }))).not.toThrow()
  expect(() => refuseUnsavable('web-1', { ...qemuSpec({ drives }), qemu: null })).not.toThrow()
})
