/** VDI against qemu-img: they read what we write, we read what they write. */
import { describe, test } from 'vitest'
import { createVdi, openVdi } from '../../../src-main/storage/formats/vdi/vdi-image.ts'
import { exchangeWithQemu } from '../../support/qemu-exchange.ts'
import { WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'

describe.skipIf(WITHOUT_QEMU_IMG)('VDI and qemu-img', () => {
  test.each([
    ['dynamic', 'static=off'],
    ['fixed', 'static=on'],
  ])('%s images of qemu-img', async (_kind, options) => {
    await exchangeWithQemu({ format: 'vdi', options, check: true, open: openVdi })
  })

  test('our images', async () => {
    await exchangeWithQemu({ format: 'vdi', check: true, open: openVdi, create: createVdi })
  })
})
