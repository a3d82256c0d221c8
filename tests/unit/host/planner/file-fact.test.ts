import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { gzipUnpackedBytes, isKernel64, isLinuxKernel, isoVolumeBytes } from '../../../../src-main/host/planner/file-fact.ts'
import { fakeIso, fakeKernel } from '../../../integration/machines/support/fake-files.ts'

test('reads the size of an ISO 9660 volume from its descriptor', () => {
  const iso = fakeIso(40)
  expect(isoVolumeBytes(iso.subarray(16 * 2048, 17 * 2048))).toBe(40 * 2048)
  expect(isoVolumeBytes(iso.subarray(0, 2048))).toBeNull()
  expect(isoVolumeBytes(iso.subarray(16 * 2048, 16 * 2048 + 100))).toBeNull()
  expect(isoVolumeBytes(new Uint8Array())).toBeNull()
})

test('knows a Linux kernel for PCs', () => {
  expect(isLinuxKernel(fakeKernel())).toBe(true)
  expect(isLinuxKernel(new Uint8Array(4096))).toBe(false)
  expect(isLinuxKernel(new Uint8Array(3))).toBe(false)
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

test('knows a kernel for 64-bit PCs by its load flags', () => {
  const wide = fakeKernel()
  const view = new DataView(wide.buffer)
  view.setUint16(0x206, 0x020f, true)
  expect(isKernel64(wide)).toBe(false)
  view.setUint16(0x236, 0x3f, true)
  expect(isKernel64(wide)).toBe(true)
  // Older headers have something else there.
  view.setUint16(0x206, 0x020b, true)
  expect(isKernel64(wide)).toBe(false)
  expect(isKernel64(wide.subarray(0, 0x237))).toBe(false)
})
