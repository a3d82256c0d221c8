/** Figures of running machines and of the host, sampled at 1 Hz while somebody looks or anything runs. */
import { z } from 'zod'
import { call, defineService, event } from '../rpc/service.ts'

/** Samples kept of each series: an hour. */
export const HISTORY_SAMPLES = 3600

/** One machine, one second. Rates are per second; null where it cannot be told. */
export interface MachineSample {
  /** Share of one host core, 0 … 1. */
  cpu: number
  instructionsPerSecond: number
  /** Share of the time that the guest was halted, 0 … 1. */
  halted: number
  /** Host memory it occupies, bytes. */
  memoryBytes: number
  diskReadPerSecond: number
  diskWrittenPerSecond: number
  netReceivedPerSecond: number
  netSentPerSecond: number
}
export interface HostSample {
  /** Share of all cores, 0 … 1, whole computer. */
  cpu: number
  /** Share of one core, this host process with all its threads. */
  hostCpu: number
  memoryTotalBytes: number
  memoryFreeBytes: number
  /** Resident memory of this host process. */
  hostMemoryBytes: number
}
export interface MetricsSample {
  /** Unix time, ms. */
  at: number
  host: HostSample
  /** By machine id; running and paused machines only. */
  machines: Record<string, MachineSample>
}

/** Columns of equal length; a gap is null. `at` in Unix ms. */
export interface History<T> {
  at: number[]
  series: { [K in keyof T]: (number | null)[] }
}

export const metrics = defineService('metrics', {
  /** Every second while anything runs or anyone listens. */
  sample: event<MetricsSample>(),
  /** The last sample; taken now where none is fresh. */
  latest: call(z.strictObject({})).returns<MetricsSample>(),
  machineHistory: call(z.strictObject({ id: z.string() })).returns<History<MachineSample>>(),
  hostHistory: call(z.strictObject({})).returns<History<HostSample>>(),
})
