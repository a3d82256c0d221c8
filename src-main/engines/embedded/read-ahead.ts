/**
 * Reads ahead of a guest that reads in order.
 *
 * Theory of operation: after the third read in a row that begins where the last one ended, the bytes that follow are asked for before the guest does, in pieces
 * of the guest's own size, at first two of them, then twice as many each time up to a bound. A read that they cover gets them from there; one that begins
 * elsewhere drops them, as does a write that touches them (the storage thread may have read them before that write). Random reads are never followed.
 */
import { KiB, MiB } from '../../../src-shared/base/units.ts'
import type { Lease, RingClient } from '../ring-client.ts'

/** Bytes ahead of the guest at most: a quarter of the ring. */
export const MOST_AHEAD = MiB
const PIECE = { least: 64 * KiB, most: 512 * KiB }
/** Reads in a row that follow on the last one. */
const IN_ORDER = 2

interface Piece {
  offset: number
  end: number
  lease: Promise<Lease>
  /** Who still needs it: the list below, and reads under way. */
  users: number
}

export class ReadAhead {
  readonly #ring: Pick<RingClient, 'readIfRoom'>
  readonly #size: number
  /** Side by side, in order. */
  #pieces: Piece[] = []
  /** Where the last read ended. */
  #next = -1
  #inOrder = 0
  #window = 0

  /** @param size of the disk, bytes */
  constructor(ring: Pick<RingClient, 'readIfRoom'>, size: number) {
    this.#ring = ring
    this.#size = size
  }

  /** What was read ahead, or is on its way; null: not all of it. Resolves to null where reading ahead failed. */
  take(offset: number, length: number): Promise<Lease | null> | null {
    const end = offset + length
    const last = this.#pieces.at(-1)
    if (!last || offset < this.#pieces[0]!.offset || end > last.end) return null
    const used = this.#pieces.filter((piece) => piece.offset < end && piece.end > offset)
    for (const piece of used) piece.users++
    while (this.#pieces.length > 0 && this.#pieces[0]!.end <= end) leave(this.#pieces.shift()!)
    return gather(used, offset, length)
  }

  /** To be told of each read, after it was asked for. */
  note(offset: number, length: number): void {
    const follows = offset === this.#next
    this.#next = offset + length
    if (!follows) {
      this.#inOrder = 0
      this.forget()
      return
    }
    if (++this.#inOrder < IN_ORDER) return
    const size = Math.min(PIECE.most, Math.max(PIECE.least, length))
    this.#window = Math.min(MOST_AHEAD, Math.max(2 * size, 2 * this.#window))
    while (this.#pieces.length > 0 && this.#pieces[0]!.end <= this.#next) leave(this.#pieces.shift()!)
    for (let at = this.#pieces.at(-1)?.end ?? this.#next; at < this.#size && at + size <= this.#next + this.#window;) {
      const end = Math.min(at + size, this.#size)
      const lease = this.#ring.readIfRoom(at, end - at)
      if (!lease) return
      // Told to whoever takes it.
      lease.catch(() => {})
      this.#pieces.push({ offset: at, end, lease, users: 1 })
      at = end
    }
  }

  /** Lets go of everything. The guest's next read in order begins anew. */
  forget(): void {
    this.#window = 0
    this.#cut(0)
  }

  /** These bytes are being written. */
  drop(offset: number, length: number): void {
    const first = this.#pieces.findIndex((piece) => piece.offset < offset + length && piece.end > offset)
    if (first >= 0) this.#cut(first)
  }

  #cut(from: number): void {
    for (const piece of this.#pieces.splice(from)) leave(piece)
  }
}

function leave(piece: Piece): void {
  if (--piece.users > 0) return
  piece.lease.then(
    (lease) => lease.release(),
    () => {},
  )
}

async function gather(pieces: readonly Piece[], offset: number, length: number): Promise<Lease | null> {
  const release = (): void => pieces.forEach(leave)
  try {
    const leases = await Promise.all(pieces.map(({ lease }) => lease))
    const start = offset - pieces[0]!.offset
    if (leases.length === 1) return { bytes: leases[0]!.bytes.subarray(start, start + length), release }
    const bytes = new Uint8Array(length)
    leases.forEach((lease, at) => {
      const piece = pieces[at]!
      const from = Math.max(0, offset - piece.offset)
      const to = Math.min(piece.end, offset + length) - piece.offset
      bytes.set(lease.bytes.subarray(from, to), piece.offset + from - offset)
    })
    release()
    return { bytes, release: () => {} }
  } catch {
    release()
    return null
  }
}
