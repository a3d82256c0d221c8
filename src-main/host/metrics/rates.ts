/** From two readings of counters that only grow to what happened per second between them. Pure. */
import type { HostSample, MachineSample } from '../../../src-shared/api/metrics.ts'
import { COUNTERS, type CounterValues } from '../../../src-shared/threads/counters.ts'

export const MACHINE_FIELDS = [
  'cpu',
  'instructionsPerSecond',
  'halted',
  'memoryBytes',
  'diskReadPerSecond',
  'diskWrittenPerSecond',
  'netReceivedPerSecond',
  'netSentPerSecond',
] as const satisfies readonly (keyof MachineSample)[]
export const HOST_FIELDS = [
  'cpu',
  'hostCpu',
  'memoryTotalBytes',
  'memoryFreeBytes',
  'hostMemoryBytes',
] as const satisfies readonly (keyof HostSample)[]

/**
 * @param seconds that really went by between the readings
 * @returns null where it cannot be told: no time went by, or a counter is smaller than before because the machine was started anew
 */
export function machineRates(before: CounterValues, now: CounterValues, seconds: number): MachineSample | null {
  if (seconds <= 0 || COUNTERS.some((name) => name !== 'memoryBytes' && now[name] < before[name])) return null
  const rate = (name: keyof CounterValues): number => (now[name] - before[name]) / seconds
  return {
    cpu: rate('cpuMicros') / 1e6,
    instructionsPerSecond: rate('instructions'),
    halted: Math.min(1, rate('haltedMicros') / 1e6),
    memoryBytes: now.memoryBytes,
    diskReadPerSecond: rate('diskReadBytes'),
    diskWrittenPerSecond: rate('diskWrittenBytes'),
    netReceivedPerSecond: rate('netReceivedBytes'),
    netSentPerSecond: rate('netSentBytes'),
  }
}

/** What the operating system says at one moment. Times since boot or start, in ms; sizes in bytes. */
export interface HostReading {
  /** Of all cores together. */
  busyMs: number
  totalMs: number
  /** CPU time of this process, all threads. */
  processMs: number
  memoryTotalBytes: number
  memoryFreeBytes: number
  hostMemoryBytes: number
}

/** @returns null where no time went by */
export function hostRates(before: HostReading, now: HostReading, seconds: number): HostSample | null {
  if (seconds <= 0) return null
  const total = now.totalMs - before.totalMs
  return {
    cpu: total > 0 ? Math.min(1, Math.max(0, (now.busyMs - before.busyMs) / total)) : 0,
    hostCpu: Math.max(0, (now.processMs - before.processMs) / 1000 / seconds),
    memoryTotalBytes: now.memoryTotalBytes,
    memoryFreeBytes: now.memoryFreeBytes,
    hostMemoryBytes: now.hostMemoryBytes,
  }
}
