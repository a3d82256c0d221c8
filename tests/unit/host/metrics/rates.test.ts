import { describe, expect, test } from 'vitest'
import { hostRates, machineRates, type HostReading } from '../../../../src-main/host/metrics/rates.ts'
import { readHost } from '../../../../src-main/host/metrics/read-host.ts'
import { Counters } from '../../../../src-shared/threads/counters.ts'

const counters = (values: Partial<Record<Parameters<Counters['add']>[0], number>>) => {
  const made = new Counters()
  for (const [name, value] of Object.entries(values)) made.set(name as never, value)
  return made.read()
}

describe('rates', () => {
  test('divide by the time that really went by', () => {
    const before = counters({ cpuMicros: 1e6, instructions: 100, diskReadBytes: 10, memoryBytes: 500 })
    const now = counters({ cpuMicros: 2.5e6, instructions: 900, haltedMicros: 1e6, diskReadBytes: 4010, netSentBytes: 2, memoryBytes: 400 })
    expect(machineRates(before, now, 2)).toEqual({
      cpu: 0.75,
      instructionsPerSecond: 400,
      halted: 0.5,
      memoryBytes: 400,
      diskReadPerSecond: 2000,
      diskWrittenPerSecond: 0,
      netReceivedPerSecond: 0,
      netSentPerSecond: 1,
    })
  })

  test('cannot be told when counters began again at zero, or no time went by', () => {
    expect(machineRates(counters({ instructions: 100 }), counters({ instructions: 5 }), 1)).toBeNull()
    expect(machineRates(counters({}), counters({}), 0)).toBeNull()
    expect(machineRates(counters({ memoryBytes: 9 }), counters({ memoryBytes: 5 }), 1)).not.toBeNull()
  })

  test('the halted share never is more than all', () => {
    expect(machineRates(counters({}), counters({ haltedMicros: 1.01e6 }), 1)?.halted).toBe(1)
  })

  test('host: share of all cores, share of one core', () => {
    const reading: HostReading = { busyMs: 0, totalMs: 0, processMs: 0, memoryTotalBytes: 8, memoryFreeBytes: 3, hostMemoryBytes: 1 }
    expect(hostRates(reading, { ...reading, busyMs: 500, totalMs: 4000, processMs: 1500 }, 2)).toEqual({
      cpu: 0.125,
      hostCpu: 0.75,
      memoryTotalBytes: 8,
      memoryFreeBytes: 3,
      hostMemoryBytes: 1,
    })
    expect(hostRates(reading, reading, 1)).toMatchObject({ cpu: 0, hostCpu: 0 })
    expect(hostRates(reading, reading, 0)).toBeNull()
  })

  test('this computer can be read', () => {
    const { memoryFreeBytes, memoryTotalBytes, hostMemoryBytes, totalMs, busyMs, processMs } = readHost()
    expect(memoryFreeBytes).toBeLessThan(memoryTotalBytes)
    expect(hostMemoryBytes).toBeLessThan(memoryTotalBytes)
    expect(busyMs).toBeLessThanOrEqual(totalMs)
    expect(processMs).toBeGreaterThan(0)
  })
})
