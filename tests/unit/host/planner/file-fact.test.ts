import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { gzipUnpackedBytes, isoVolumeBytes } from '../../../../src-main/host/planner/file-fact.ts'
import { fakeIso } from '../../../integration/machines/support/fake-files.ts'

test('reads the size of an ISO 9660 volume from its descriptor', () => {
  const iso = fakeIso(40)
  expect(isoVolumeBytes(iso.subarray(16 * 2048, 17 * 2048))).toBe(40 * 2048)
  expect(isoVolumeBytes(iso.subarray(0, 2048))).toBeNull()
  expect(isoVolumeBytes(iso.subarray(16 * 2048, 16 * 2048 + 100))).toBeNull()
  expect(isoVolumeBytes(new Uint8Array())).toBeNull()
})

test('knows how large a gzip file is when it is unpacked', () => {
  const packed = gzipSync(Buffer.alloc(1000, 'ten bytes '), { level: 0 })
  const of = (file: Uint8Array): number | null => gzipUnpackedBytes(file.subarray(0, 10), file.subarray(-4), file.length)
  expect(of(gzipSync(Buffer.alloc(100, 'ten bytes ')))).toBe(100)
  expect(of(packed), 'larger than what it holds').toBeNull()
  expect(of(Buffer.concat([packed, Buffer.alloc(512)])), 'padded').toBeNull()
  expect(of(Buffer.from('no gzip file'))).toBeNull()
  expect(of(Buffer.of(0x1f, 0x8b))).toBeNull()
})
