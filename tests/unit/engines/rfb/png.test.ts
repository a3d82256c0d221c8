import { expect, test } from 'vitest'
import { encodePng } from '../../../../src-main/engines/rfb/png.ts'
import { decodePng } from '../../../support/png.ts'
import { photo } from './pictures.ts'

test('a picture is the same after decoding', async () => {
  expect(decodePng(await encodePng(photo))).toEqual({ width: 120, height: 80, pixels: photo.pixels })
})
