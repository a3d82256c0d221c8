/**
 * Counters of one machine, in shared memory: written where the event happens, read by the host at 1 Hz without asking the thread (so that
 * a thread that does not answer still can be measured). They only grow; rates are the reader's business.
 */
export const COUNTERS = [
  /** CPU time the machine's thread used, microseconds. */
  'cpuMicros',
  /** Guest instructions executed. */
  'instructions',
  /** Times the engine's main loop came round: still means a thread that does not answer. */
  'heartbeats',
  /** Time the guest spent halted (HLT), microseconds. */
  'haltedMicros',
  /** Bytes of host memory that hold this machine (a gauge). */
  'memoryBytes',
  'diskReadBytes',
  'diskWrittenBytes',
  'diskReads',
  'diskWrites',
  'netReceivedBytes',
  'netSentBytes',
  'serialOutBytes',
  'serialInBytes',
] as const
export type CounterName = (typeof COUNTERS)[number]
export type CounterValues = Record<CounterName, number>

const INDEX = Object.fromEntries(COUNTERS.map((name, at) => [name, at])) as Record<CounterName, number>

/** One f64 each: exact to 2^53, single writer, torn reads impossible on 64-bit hosts. */
export class Counters {
  readonly buffer: SharedArrayBuffer
  #cells: Float64Array

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(COUNTERS.length * 8)) {
    this.buffer = buffer
    this.#cells = new Float64Array(buffer)
  }

  add(name: CounterName, amount: number): void {
    this.#cells[INDEX[name]]! += amount
  }

  set(name: CounterName, value: number): void {
    this.#cells[INDEX[name]] = value
  }

  read(): CounterValues {
    return Object.fromEntries(COUNTERS.map((name, at) => [name, this.#cells[at]!])) as CounterValues
  }
}
