import { expect, test } from 'vitest'
import { hostName } from '../../../../src-main/host/machines/making/create-machine.ts'
import { withNewIdentity } from '../../../../src-main/host/machines/making/duplicate-machine.ts'
import { applyPatch } from '../../../../src-main/host/machines/making/edit-machine.ts'
import { parseMachineConfig } from '../../../../src-shared/model/machine.ts'

const config = parseMachineConfig({
  ...{ schema: 1, id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11', created: '2026-11-21T00:00:00Z', name: 'a' },
  boot: { kind: 'kernel', kernel: 'k', cmdline: 'quiet coppice.hostname=a x=1' },
  nics: [{ id: 'nic0', mac: '52:54:00:00:00:01' }],
})

test('host names are those of RFC 1123', () => {
  expect(hostName('Web 1')).toBe('web-1')
  expect(hostName('Größe_Ärger')).toBe('gro-e-arger')
  expect(hostName('--')).toBe('coppice')
  expect(hostName('日本')).toBe('coppice')
  expect(hostName('x'.repeat(100))).toHaveLength(63)
  expect(hostName(`${'x'.repeat(62)} y`)).toBe('x'.repeat(62))
})

test('a copy shares nothing that tells machines apart', () => {
  const copy = withNewIdentity(config, 'Web 2')
  expect(copy.id).not.toBe(config.id)
  expect(copy.nics[0]!.mac).not.toBe(config.nics[0]!.mac)
  expect(copy).toMatchObject({ name: 'Web 2', boot: { kernel: 'k', cmdline: 'quiet coppice.hostname=web-2 x=1' } })
})

test('a patch changes what it names, and every wrong field is reported', () => {
  expect(applyPatch(config, { memoryMiB: 512, notes: undefined })).toEqual({ ...config, memoryMiB: 512 })
  const drives = [
    { id: 'a', kind: 'disk' as const, path: null, format: 'raw' as const, readOnly: false, limits: null },
    { id: 'a', kind: 'cdrom' as const, path: null, format: 'raw' as const, readOnly: false, limits: null },
  ]
  try {
    applyPatch(config, { memoryMiB: 7, drives })
    expect.unreachable()
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid-input' })
    const { fields } = (error as { details: { fields: { path: string }[] } }).details
    expect(fields.map(({ path }) => path)).toContain('memoryMiB')
  }
})
