/** What can be done with a disk, and why not, by value. */
import { describe, expect, test } from 'vitest'
import { whyNot, type DiskFacts } from '../../../../src-main/host/disks/disk-states.ts'
import { liveHardware } from '../../../../src-main/host/planner/live-hardware.ts'
import { qemuSpec } from '../../../support/qemu-spec.ts'
import { specDrive } from '../../../support/spec-drive.ts'

const facts = (change: Partial<DiskFacts> = {}): DiskFacts => ({
  drive: { id: 'disk0', kind: 'disk', path: 'disks/disk0.qcow2', format: 'qcow2', readOnly: false, limits: null },
  measure: { size: 1 << 30, storedBytes: 1 << 20, belowBytes: 0, resizable: true },
  ...{ holder: null, state: 'off', live: null },
  ...change,
})
const drive = facts().drive
const running = liveHardware(qemuSpec({ drives: [specDrive('disk0', 'disk')] }), 'running')
const can = (change: Partial<DiskFacts>): string[] =>
  Object.entries(whyNot(facts(change))).flatMap(([work, reason]) => (reason === null ? [work] : []))

describe('what can be done with a disk', () => {
  test.each<[string, Partial<DiskFacts>, string[]]>([
    ['of a machine that is off', {}, ['grow', 'shrink', 'compact', 'check', 'repair']],
    ['of one that crashed', { state: 'crashed' }, ['grow', 'shrink', 'compact', 'check', 'repair']],
    ['of one that QEMU runs', { state: 'running', live: running }, ['grow']],
    ['of another format that QEMU runs', { state: 'running', live: running, drive: { ...drive, format: 'vdi' } }, []],
    [
      'of one that the embedded engine runs',
      { state: 'running', live: liveHardware({ ...qemuSpec(), engine: 'embedded', qemu: null }, 'running') },
      [],
    ],
    ['of one that starts', { state: 'starting' }, []],
    ['of a suspended one', { state: 'suspended' }, ['check']],
    ['that a snapshot keeps', { holder: 'before' }, ['check', 'repair']],
    ['that is read-only', { drive: { ...drive, readOnly: true } }, ['compact', 'check', 'repair']],
    [
      'of a format that keeps its size',
      { measure: { size: 1, storedBytes: 1, belowBytes: 0, resizable: false } },
      ['compact', 'check', 'repair'],
    ],
    ['that cannot be looked at', { measure: null }, ['check', 'repair']],
    ['on the network', { drive: { ...drive, path: 'nbd://server/a' } }, []],
  ])('%s', (_, change, expected) => expect(can(change)).toEqual(expected))

  test('why not is said', () => {
    expect(whyNot(facts({ holder: 'before' })).grow).toContain('The snapshot “before” keeps this file')
    expect(whyNot(facts({ state: 'running', live: running, holder: 'x' })).grow).toContain('keeps this file')
    expect(whyNot(facts({ state: 'suspended' })).compact).toContain('suspended')
    expect(whyNot(facts({ state: 'running', live: running })).compact).toBe('This can be done only while the machine is off.')
  })
})
