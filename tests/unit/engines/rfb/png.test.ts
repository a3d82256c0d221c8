import { expect, test } from 'vitest'
import { encodePng } from '../../../../src-main/engines/rfb/png.ts'
import { decodePng } from '../../../support/png.ts'
import { photo } from './pictures.ts'

test('a picture is the same after decoding', async () => {
  const png = await encodePng(photo)
})
