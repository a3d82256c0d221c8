/** Gathers what the watchdog judges, between two turns of the main loop. */
import type { Counters } from '../../../src-shared/threads/counters.ts'
import { judge, WINDOW_MS, type Signs, type Verdict } from '../watchdog.ts'
import type { Emulator } from './v86.ts'

/** A look at the processor costs a few microseconds. */
const SAMPLE_MS = 10
const PAGE_BITS = 12
const FLAG_INTERRUPT = 1 << 9
const CR0_PAGING = 1 << 31

/** Code pages are counted up to this; more makes no difference. */
const MAX_PAGES = 1000

interface Before {
  at: number
  guestMicros: number
  haltedMicros: number
  progressBytes: number
  screen: string
}

export class HealthMonitor {
  #emulator: Emulator
  #counters: Counters
  #nextSample = 0
  #pages = new Set<number>()
  #samples = 0
  #userSamples = 0
  #interruptSamples = 0
  #pagedSamples = 0
  #resets = 0
  #before: Before | null = null
  #signs: Signs | null = null
  #last: Verdict['health'] | null = null

  constructor(emulator: Emulator, counters: Counters) {
    this.#emulator = emulator
    this.#counters = counters
  }

  /** The machine starts or goes on. */
  begin(): void {
    this.#before = null
    this.#signs = null
    this.#last = null
    this.#clear()
  }

  rebooted(): void {
    this.#resets++
  }

  sample(now: number): void {
    if (now < this.#nextSample) return
    this.#nextSample = now + SAMPLE_MS
    const { cpu } = this.#emulator.v86
    this.#samples++
    if (this.#pages.size < MAX_PAGES) this.#pages.add(cpu.instruction_pointer[0]! >>> PAGE_BITS)
    if (cpu.cpl[0] === 3) this.#userSamples++
    if (cpu.flags[0]! & FLAG_INTERRUPT) this.#interruptSamples++
    if (cpu.cr[0]! & CR0_PAGING) this.#pagedSamples++
  }

  /** A new verdict where it differs from the last one; null otherwise and while the window is not over. */
  judge(now: number): Verdict | null {
    const before = this.#before
    if (before === null) {
      this.#before = this.#snapshot(now)
      return null
    }
    const values = this.#counters.read()
    if ((values.cpuMicros + values.haltedMicros - before.guestMicros) / 1000 < WINDOW_MS) return null
    const after = this.#snapshot(now)
    const { cpu } = this.#emulator.v86
    const signs: Signs = {
      elapsedMs: now - before.at,
      haltedMs: (after.haltedMicros - before.haltedMicros) / 1000,
      haltedForGood: cpu.in_hlt[0] === 1 && !(cpu.flags[0]! & FLAG_INTERRUPT),
      progressBytes: after.progressBytes - before.progressBytes,
      screenChanged: after.screen !== before.screen,
      screen: after.screen,
      samples: this.#samples,
      userSamples: this.#userSamples,
      interruptSamples: this.#interruptSamples,
      pagedSamples: this.#pagedSamples,
      codePages: this.#pages.size,
      resets: this.#resets,
    }
    this.#before = after
    this.#clear()
    const verdict = judge(signs, this.#signs)
    this.#signs = signs
    if (verdict.health === this.#last) return null
    this.#last = verdict.health
    return verdict
  }

  #snapshot(at: number): Before {
    const values = this.#counters.read()
    return {
      at,
      guestMicros: values.cpuMicros + values.haltedMicros,
      haltedMicros: values.haltedMicros,
      progressBytes: values.serialOutBytes + values.diskReadBytes + values.diskWrittenBytes + values.netReceivedBytes + values.netSentBytes,
      screen: this.#emulator.screen_adapter.get_text_screen().join('\n'),
    }
  }

  #clear(): void {
    this.#pages.clear()
    this.#samples = 0
    this.#userSamples = 0
    this.#interruptSamples = 0
    this.#pagedSamples = 0
    this.#resets = 0
  }
}
