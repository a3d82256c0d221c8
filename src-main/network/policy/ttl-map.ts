/** A bounded map whose entries are forgotten a while after they were used last. No timers: what is old is dropped when it is met, and the least lately used when there is no room. */
import type { Clock } from '../clock.ts'

export class TtlMap<K, V> {
  readonly #most: number
  readonly #clock: Clock
  /** In the order of their last use. */
  readonly #entries = new Map<K, { value: V; until: number }>()

  constructor(most: number, clock: Clock) {
    this.#most = most
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  /** @param life ms without use */
  set(key: K, value: V, life: number): void {
    this.#entries.delete(key)
    if (this.#entries.size >= this.#most) this.#entries.delete(this.#entries.keys().next().value as K)
    this.#entries.set(key, { value, until: this.#clock.now() + life })
  }

  /** The value, which is used by that; undefined where there is none. */
  touch(key: K, life: number): V | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#entries.delete(key)
    const now = this.#clock.now()
    if (entry.until <= now) return undefined
    entry.until = now + life
    this.#entries.set(key, entry)
    return entry.value
  }
}
