/**
 * Parts of tables that are kept in memory and written back: as many as there is room for, the ones used longest ago forgotten first, and never one that
 * has changed.
 */

/** Bytes: what is written at once, so that a crash leaves no part of it half written. */
const SECTOR = 512

/** A part of a table. */
export interface CachedPart {
  /** Of all parts of the table. */
  readonly index: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
  /** Bytes from `dirtyFrom` to before `dirtyTo` have changed. */
  dirtyFrom: number
  dirtyTo: number
}

/** What has changed of a part, in whole sectors, as it was when it was captured. */
export interface ChangedPart {
  index: number
  /** Bytes from the beginning of the part. */
  from: number
  bytes: Uint8Array
}

export class TableCache {
  readonly #parts = new Map<number, CachedPart>()
  readonly #most: number
  #dirty = 0

  /** @param most parts that are kept, unless more have changed */
  constructor(most: number) {
    this.#most = most
  }

  /** Whether something has changed. */
  get changed(): boolean {
    return this.#dirty > 0
  }

  /** Whether so many parts have changed that they should be written. */
  get crowded(): boolean {
    return this.#dirty > this.#most / 2
  }

  /** Counts as a use. */
  get(index: number): CachedPart | undefined {
    const part = this.#parts.get(index)
    if (part && this.#parts.size >= this.#most) {
      this.#parts.delete(index)
      this.#parts.set(index, part)
    }
    return part
  }

  /** @param bytes owned */
  add(index: number, bytes: Uint8Array<ArrayBuffer>): CachedPart {
    const part: CachedPart = { index, bytes, view: new DataView(bytes.buffer), dirtyFrom: 0, dirtyTo: 0 }
    this.#parts.set(index, part)
    return part
  }

  /** Makes sure that a part that was loaded is still the one that is kept. */
  keep(part: CachedPart): void {
    this.#parts.set(part.index, part)
  }

  /** Forgets a part that has not changed. */
  delete(index: number): void {
    this.#parts.delete(index)
  }

  /** Bytes from `from` to before `to` have changed. */
  mark(part: CachedPart, from: number, to: number): void {
    if (part.dirtyTo === 0) {
      this.#dirty++
      part.dirtyFrom = from
      part.dirtyTo = to
    } else {
      part.dirtyFrom = Math.min(part.dirtyFrom, from)
      part.dirtyTo = Math.max(part.dirtyTo, to)
    }
  }

  /** What has changed since the last time; `undo`: it counts as changed again. */
  capture(): { changes: ChangedPart[]; undo(): void } {
    const changes: ChangedPart[] = []
    const parts: CachedPart[] = []
    for (const part of this.#dirty === 0 ? [] : this.#parts.values()) {
      if (part.dirtyTo === 0) continue
      const from = part.dirtyFrom - (part.dirtyFrom % SECTOR)
      const to = Math.ceil(part.dirtyTo / SECTOR) * SECTOR
      changes.push({ index: part.index, from, bytes: part.bytes.slice(from, to) })
      parts.push(part)
      part.dirtyFrom = part.dirtyTo = 0
    }
    this.#dirty = 0
    return {
      changes,
      undo: () => {
        for (const [at, { from, bytes }] of changes.entries()) this.mark(parts[at]!, from, from + bytes.length)
      },
    }
  }

  /** Forgets parts until there is room for one more. Apart from `add`, so that what somebody is about to change stays. */
  makeRoom(): void {
    if (this.#parts.size < this.#most) return
    for (const [index, part] of this.#parts) {
      if (part.dirtyTo > 0) continue
      this.#parts.delete(index)
      if (this.#parts.size < this.#most) return
    }
  }
}
