import { expect, test } from 'vitest'
import { LeaseChanges } from '../../../src-main/network/lease-changes.ts'
import type { LeaseChange } from '../../../src-shared/threads/network-thread.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const change = (kind: LeaseChange['kind'], mac: number, host = 2): LeaseChange => ({
  kind,
  lease: { network: 'lab', mac: `52:54:00:00:00:0${mac}`, address: `10.0.2.${host}`, hostName: null, from: 0, until: 1000 },
})

test('leases that change at about the same time are told together, each as it is at last', () => {
  const clock = new FakeClock()
  const changes = new LeaseChanges(clock)
  const told: LeaseChange[][] = []
  changes.event((more) => void told.push(more))
  changes.add(change('put', 1))
  clock.advance(30)
  for (let host = 2; host < 200; host++) changes.add(change('put', 2, host))
  changes.add(change('removed', 1))
  clock.advance(19)
  expect(told).toEqual([])
  clock.advance(1)
  expect(told).toEqual([[change('put', 2, 199), change('removed', 1)]])
  clock.advance(1000)
  expect(told).toHaveLength(1)
  changes.add(change('put', 1))
  changes.add({ ...change('put', 1), lease: { ...change('put', 1).lease, network: 'other' } })
  clock.advance(50)
  expect(told[1]!.map(({ lease }) => lease.network)).toEqual(['lab', 'other'])
  // Nothing waits while nothing changes, and nothing after the end.
  expect(clock.waiting).toBe(0)
  changes.add(change('put', 1))
  changes.dispose()
  clock.advance(100)
  expect([clock.waiting, told.length]).toEqual([0, 2])
})
