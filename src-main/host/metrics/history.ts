import type { History } from '../../../src-shared/api/metrics.ts'

const FIRST_ROWS = 64

/**
 * The last `limit` rows of a table of numbers, in typed columns that are used round and round. Memory follows what is kept: the columns double
 * until they hold `limit` rows. NaN stands for "cannot be told" inside and is null outside.
 */
export class HistoryRing<T> {
  #names: readonly (keyof T & string)[]
  #limit: number
  #at: Float64Array
  #columns: Float64Array[]
  /** Rows ever pushed. */
  #pushed = 0

  constructor(names: readonly (keyof T & string)[], limit: number) {
    this.#names = names
    this.#limit = limit
    this.#at = new Float64Array(Math.min(FIRST_ROWS, limit))
    this.#columns = names.map(() => new Float64Array(this.#at.length))
  }

  /** Unix ms of the newest row; -Infinity where there is none. */
  get newest(): number {
    return this.#pushed === 0 ? -Infinity : this.#at[(this.#pushed - 1) % this.#at.length]!
  }

  /** @param at Unix ms; @param row null for a gap */
  push(at: number, row: { [K in keyof T]: number } | null): void {
    if (this.#pushed === this.#at.length && this.#at.length < this.#limit) this.#grow()
    const index = this.#pushed % this.#at.length
    this.#at[index] = at
    for (const [column, name] of this.#names.entries()) this.#columns[column]![index] = row === null ? NaN : row[name]
    this.#pushed++
  }

  /** Oldest first. */
  read(): History<T> {
    const rows = Math.min(this.#pushed, this.#at.length)
    const first = this.#pushed - rows
    const inOrder = (column: Float64Array): number[] => Array.from({ length: rows }, (_, row) => column[(first + row) % column.length]!)
    const series = this.#names.map((name, column) => {
      return [name, inOrder(this.#columns[column]!).map((value) => (Number.isNaN(value) ? null : value))] as const
    })
    return { at: inOrder(this.#at), series: Object.fromEntries(series) as History<T>['series'] }
  }

  /** Only while nothing has been overwritten yet, so that rows are in order from 0. */
  #grow(): void {
    const size = Math.min(this.#at.length * 2, this.#limit)
    const wider = (column: Float64Array): Float64Array => {
      const next = new Float64Array(size)
      next.set(column)
      return next
    }
    this.#at = wider(this.#at)
    this.#columns = this.#columns.map(wider)
  }
}
