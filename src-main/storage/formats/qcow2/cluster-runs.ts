/** Runs of clusters, by index. Neighbours that are added one after the other become one. A cluster may be in it more than once. */
export class ClusterRuns {
  readonly #runs: { first: number; count: number }[] = []

  get length(): number {
    return this.#runs.length
  }

  add(first: number, count: number): void {
    const last = this.#runs.at(-1)
    if (last && last.first + last.count === first) last.count += count
    else if (count > 0) this.#runs.push({ first, count })
  }

  [Symbol.iterator](): Iterator<{ first: number; count: number }> {
    return this.#runs[Symbol.iterator]()
  }
}
