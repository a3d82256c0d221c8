import { expect, test } from 'vitest'
import type { SuspendRecord } from '../../../../../src-main/host/library/suspend-record.ts'
import { suspendedProblem } from '../../../../../src-main/host/machines/suspend/suspended-state.ts'
import type { FileFact } from '../../../../../src-main/host/planner/file-fact.ts'
import { parseMachineConfig } from '../../../../../src-shared/model/machine.ts'
import { qemuSpec } from '../../../../support/qemu-spec.ts'

const ID = '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11'
const config = parseMachineConfig({
  ...{ schema: 1, id: ID, created: '2026-11-21T00:00:00Z', name: 'a', boot: { kind: 'firmware' } },
  drives: [{ id: 'disk0', kind: 'disk', path: 'd.img' }],
})
const record: SuspendRecord = {
  schema: 1,
  header: {
    ...{ format: 1, engine: 'embedded', engineVersion: 'x', machine: ID, memoryMiB: 256 },
    ...{ savedAt: '2026-11-21T00:00:00Z', bytes: 1000 },
  },
  bootedAt: null,
  drives: [{ id: 'disk0', bytes: 512, modified: 10, inode: 3 }],
}
const disk = (change: Partial<FileFact> = {}): FileFact => ({
  ...{
    kind: 'file',
    path: '/d.img',
    bytes: 512,
    modified: 10,
    inode: 3,
    writable: true,
    volumeBytes: null,
    linuxKernel: null,
    kernel64: false,
    unpackedBytes: null,
  },
  ...change,
})
const problem = (file: FileFact, memory: number | null = 1000, machine = config) =>
  suspendedProblem(record, machine, new Map([['d.img', file]]), memory)?.message ?? null

test('a state is resumed with the machine, memory and disks that it was saved with', () => {
  expect(problem(disk())).toBeNull()
  expect(problem(disk(), null)).toContain('its memory file is missing')
  expect(problem(disk(), 999)).toContain('has 999 bytes')
  expect(problem(disk(), 1000, { ...config, memoryMiB: 128 })).toContain('suspended with 256 MiB')
  expect(problem(disk(), 1000, { ...config, id: crypto.randomUUID() })).toContain('another machine')
  expect(problem(disk(), 1000, { ...config, drives: [] })).toBeNull()
})

test('what the guest could use of its memory is compared, not what it was started with', () => {
  const spec = qemuSpec({ memoryMiB: 256, balloonMiB: 128 })
  const check = (memoryMiB: number): string | null =>
    suspendedProblem({ ...record, spec }, { ...config, memoryMiB }, new Map([['d.img', disk()]]), 1000)?.message ?? null
  expect(check(128)).toBeNull()
  expect(check(256)).toContain('suspended with 128 MiB')
})

test('a disk that was written meanwhile would be destroyed, one that was copied along with its machine not', () => {
  expect(problem(disk({ modified: 11 }))).toContain('was changed since')
  expect(problem(disk({ bytes: 1024 }))).toContain('was changed since')
  expect(problem(disk({ modified: 11, inode: 4 }))).toBeNull()
})
