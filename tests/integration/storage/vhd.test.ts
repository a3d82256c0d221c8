/** VHD against qemu-img, which calls it vpc: they read what we write, we read what they write. */
import { describe, test } from 'vitest'
import { createVhd, openVhd } from '../../../src-main/storage/formats/vhd/vhd-image.ts'
import { exchangeWithQemu } from '../../support/qemu-exchange.ts'
import { WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'

/** Bytes: a whole geometry, so that the disk is as large for programs that go by it. */
const SIZE = 1000 * 4 * 17 * 512

describe.skipIf(WITHOUT_QEMU_IMG)('VHD and qemu-img', () => {
  test.each([
    ['dynamic', 'subformat=dynamic'],
    ['dynamic, by current size', 'subformat=dynamic,force_size=on'],
    ['fixed', 'subformat=fixed'],
  ])('%s images of qemu-img', async (_kind, options) => {
    await exchangeWithQemu({ format: 'vpc', options, open: openVhd, size: SIZE })
  })

  test.each(['dynamic', 'fixed'] as const)('our %s images', async (kind) => {
    await exchangeWithQemu({ format: 'vpc', open: openVhd, create: (file, { size }) => createVhd(file, { size, kind }) })
  })
})
