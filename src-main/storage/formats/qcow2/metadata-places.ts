/** Which clusters of the file hold metadata, so that a damaged or hostile table cannot make the guest's data overwrite them. Numbers are cluster indexes. */
export class MetadataPlaces {
  /** As the image was opened, ascending. */
  readonly #opened: Float64Array
  readonly #removed = new Set<number>()
  readonly #added = new Set<number>()

  /** @param clusters in any order; sorted in place */
  constructor(clusters: Float64Array) {
    this.#opened = clusters.sort()
  }

  /** A cluster that was given twice: two structures claim it. null: none. */
  overlap(): number | null {
    for (let i = 1; i < this.#opened.length; i++) if (this.#opened[i] === this.#opened[i - 1]) return this.#opened[i]!
    return null
  }

  add(cluster: number, count: number): void {
    for (let i = cluster; i < cluster + count; i++) {
      this.#removed.delete(i)
      this.#added.add(i)
    }
  }

  remove(cluster: number, count: number): void {
    for (let i = cluster; i < cluster + count; i++) if (!this.#added.delete(i)) this.#removed.add(i)
  }

  /** Whether any of the clusters from `first` to before `end` is metadata. */
  within(first: number, end: number): boolean {
    if (this.#added.size > 0) for (let i = first; i < end; i++) if (this.#added.has(i)) return true
    let low = 0
    let high = this.#opened.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#opened[middle]! < first) low = middle + 1
      else high = middle
    }
    while (low < this.#opened.length && this.#opened[low]! < end) if (!this.#removed.has(this.#opened[low++]!)) return true
    return false
  }
}
