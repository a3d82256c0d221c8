import { expect, test } from 'vitest'
import { isLinuxKernel, isoVolumeBytes } from '../../../../src-main/host/planner/file-fact.ts'
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
