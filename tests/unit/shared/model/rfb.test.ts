import { expect, test } from 'vitest'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { rfbMinor } from '../../../../src-shared/model/rfb.ts'

test.each([
  ['RFB 003.003\n', 3],
  ['RFB 003.005\n', 3],
  ['RFB 003.007\n', 7],
  ['RFB 003.008\n', 8],
  ['RFB 003.889\n', 8],
  ['RFB 004.001\n', null],
  ['RFB 003.008\r', null],
  ['GET / HTTP/1', null],
  ['', null],
])('%j is version 3.%s', (text, minor) => {
  expect(rfbMinor(utf8(text))).toBe(minor)
})
