/** Counts different things by key within a while: "how many ports of one address did this machine try in ten seconds?" Bounded, and without timers. */
export class WithinWindow {
  readonly #window: number
  readonly #threshold: number
  readonly #keys: number
  readonly #counts = new Map<string, { since: number; seen: Set<string | number> }>()

  /** @param window ms, @param threshold different things that are too many, @param keys that are remembered; the oldest is forgotten */
  constructor(window: number, threshold: number, keys = 1024) {
    this.#window = window
    this.#threshold = threshold
    this.#keys = keys
  }

  /** @returns whether there are too many; the counting begins anew then */
  add(key: string, thing: string | number, now: number): boolean {
    let count = this.#counts.get(key)
    if (!count || now - count.since > this.#window) {
      this.#counts.delete(key)
      if (this.#counts.size >= this.#keys) this.#counts.delete(this.#counts.keys().next().value!)
      count = { since: now, seen: new Set() }
      this.#counts.set(key, count)
    }
    count.seen.add(thing)
    if (count.seen.size < this.#threshold) return false
    this.#counts.delete(key)
    return true
  }
}
