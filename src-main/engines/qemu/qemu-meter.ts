/**
 * Brings a machine's counters up to date once a second while it runs: from the operating system what the process costs, from QEMU what its
 * drives moved. Each answer of QEMU is one heartbeat: a QEMU that stands still for long shows as an engine that does not answer. A paused
 * machine costs nothing.
 */
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { Verdict } from '../watchdog.ts'
import { ActivityJudge } from './activity.ts'
import type { BlockStats } from './qmp/commands.ts'
import type { QmpClient } from './qmp/qmp-client.ts'
import { processUsage } from './usage.ts'

const INTERVAL = 1000

export interface MeterListener {
  verdict(verdict: Verdict): void
  /** Once a second, too: what else is to be looked after. */
  second(): Promise<void>
}

export class QemuMeter {
  #pid: number
  #qmp: QmpClient
  #counters: Counters
  #listener: MeterListener
  #judge = new ActivityJudge()
  #timer: NodeJS.Timeout | null = null
  #busy = false

  constructor(pid: number, qmp: QmpClient, counters: Counters, listener: MeterListener) {
    this.#pid = pid
    this.#qmp = qmp
    this.#counters = counters
    this.#listener = listener
  }

  start(): void {
    this.stop()
    this.#judge.begin()
    this.#timer = setInterval(() => void this.#tick(), INTERVAL)
    void this.#tick()
  }

  stop(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Brings the counters up to date. Never rejects: a QEMU that ends is reported by its end. */
  async sample(): Promise<void> {
    const usage = await processUsage(this.#pid)
    if (usage) {
      this.#counters.set('cpuMicros', usage.cpuMicros)
      this.#counters.set('memoryBytes', usage.memoryBytes)
    }
    const drives = await this.#qmp.execute('query-blockstats').catch(() => null)
    if (drives === null) return
    for (const [name, value] of Object.entries(sumDrives(drives))) this.#counters.set(name as keyof DriveSums, value)
    this.#counters.add('heartbeats', 1)
  }

  async #tick(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    try {
      await this.sample()
      if (!this.#timer) return
      if (process.platform !== 'win32') {
        const verdict = this.#judge.see({ at: performance.now(), cpuMicros: this.#counters.read().cpuMicros })
        if (verdict) this.#listener.verdict(verdict)
      }
      await this.#listener.second()
    } catch (error) {
      console.error(`Looking after a machine: ${(error as Error).message}`)
    } finally {
      this.#busy = false
    }
  }
}

type DriveSums = Record<'diskReadBytes' | 'diskWrittenBytes' | 'diskReads' | 'diskWrites', number>

/** Of the guest's drives; firmware in flash memory has no device. Pure. */
export function sumDrives(drives: readonly BlockStats[]): DriveSums {
  const sums: DriveSums = { diskReadBytes: 0, diskWrittenBytes: 0, diskReads: 0, diskWrites: 0 }
  for (const { qdev, stats } of drives) {
    if (qdev === undefined || qdev === '') continue
    sums.diskReadBytes += stats.rd_bytes
    sums.diskWrittenBytes += stats.wr_bytes
    sums.diskReads += stats.rd_operations
    sums.diskWrites += stats.wr_operations
  }
  return sums
}
