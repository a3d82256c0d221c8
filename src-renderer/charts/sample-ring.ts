/**
 * The last `capacity` samples of several series with one clock. Figures that are not known are NaN inside and null outside; a pause in the
 * samples is a gap, never a line drawn across it.
 */

/** Columns as uPlot takes them: `at` in Unix seconds, ascending; null is a gap. */
export interface Columns {
  at: number[]
  values: (number | null)[][]
}

/** Samples come every second: after this long without one, ms, the line is broken. */
export const GAP = 2500
/** A clock that is set back by more than this, ms, makes what was kept before meaningless. */
const CLOCK_SET_BACK = 5000

export class SampleRing<K extends string> {
  readonly names: readonly K[]
  #capacity: number
  #at: Float64Array
  #series: Record<K, Float64Array>
  #start = 0
  #length = 0

  constructor(names: readonly K[], capacity: number) {
    this.names = names
    this.#capacity = capacity
    this.#at = new Float64Array(capacity)
    this.#series = Object.fromEntries(names.map((name) => [name, new Float64Array(capacity)])) as Record<K, Float64Array>
  }

  get length(): number {
    return this.#length
  }

  /** Unix ms of the newest sample; null while there is none. */
  get newest(): number | null {
    return this.#length === 0 ? null : this.#at[this.#slot(this.#length - 1)]!
  }

  #slot(index: number): number {
    return (this.#start + index) % this.#capacity
  }

  clear(): void {
    this.#start = 0
    this.#length = 0
  }

  /** @param at Unix ms. A sample that is not newer than the newest is the same one again and is left out. */
  push(at: number, values: Partial<Record<K, number | null>>): void {
    const newest = this.newest
    if (newest !== null && at < newest - CLOCK_SET_BACK) this.clear()
    else if (newest !== null && at <= newest) return
    if (this.#length === this.#capacity) this.#start = this.#slot(1)
    else this.#length++
    const slot = this.#slot(this.#length - 1)
    this.#at[slot] = at
    for (const name of this.names) this.#series[name][slot] = values[name] ?? NaN
  }

  /** The newest value of a series; null where there is none, or where it is older than a gap at `now` (Unix ms). */
  last(name: K, now: number): number | null {
    const newest = this.newest
    if (newest === null || now - newest > GAP) return null
    const value = this.#series[name][this.#slot(this.#length - 1)]!
    return Number.isNaN(value) ? null : value
  }

  /** The samples from `from` to `to` (Unix ms), with the neighbours just outside so that lines reach the edges. */
  window(from: number, to: number, names: readonly K[]): Columns {
    const first = Math.max(0, this.#firstAfter(from) - 1)
    const end = Math.min(this.#length, this.#firstAfter(to) + 1)
    const at: number[] = []
    const values: (number | null)[][] = names.map(() => [])
    let before = 0
    for (let index = first; index < end; index++) {
      const slot = this.#slot(index)
      const time = this.#at[slot]!
      if (index > first && time - before > GAP) {
        at.push((before + 1) / 1000)
        for (const column of values) column.push(null)
      }
      at.push(time / 1000)
      names.forEach((name, which) => {
        const value = this.#series[name][slot]!
        values[which]!.push(Number.isNaN(value) ? null : value)
      })
      before = time
    }
    return { at, values }
  }

  /** Index of the first sample later than `time`. */
  #firstAfter(time: number): number {
    let low = 0
    let high = this.#length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#at[this.#slot(middle)]! > time) high = middle
      else low = middle + 1
    }
    return low
  }
}
