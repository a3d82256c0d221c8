/**
 * Writes changed metadata so that a crash at any point leaves at most room that nothing refers to.
 *
 *     1. refcount blocks (and a refcount table that moves), L2 tables that the L1 table on disk does not know yet     sync
 *     2. entries of the refcount table, or the header that names the one that moved; only where there are any         sync
 *     3. entries of L2 tables and of the L1 table                                                                     sync
 *     4. clusters that lost their last reference in 3 are free: in memory, and on disk with the next round
 *
 * What is written is captured at the start, all at one moment. At that moment every new entry's data has been handed to the file (an entry is set
 * when its data's write has resolved) and every new entry's cluster is counted, so the sync of 1 makes both durable before 3 refers to them. What
 * requests change later waits for the next round. A round that fails is done again by the next one, unless a sync failed (see trusted-sync.ts).
 *
 * With lazy refcounts (compatible feature bit 0) the dirty bit is set before anything else is changed, and refcount blocks wait until the image
 * closes, or until too much of them has changed. A crash leaves the dirty bit; whoever opens the image next counts anew.
 */
import { concatBytes } from '../../../../src-shared/base/bytes.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import type { HeaderSector } from './header-sector.ts'
import { MAX_PENDING_FREES } from './limits.ts'
import type { Mapping } from './mapping.ts'
import type { Piece } from './refcount-blocks.ts'
import type { Refcounts } from './refcounts.ts'
import type { TrustedSync } from '../../file/trusted-sync.ts'

export class WriteBack {
  readonly #file: ByteFile
  readonly #durable: TrustedSync
  readonly #header: HeaderSector
  readonly #mapping: Mapping
  readonly #refcounts: Refcounts
  readonly #lazy: boolean
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null
  #nextIsAll = false

  constructor(file: ByteFile, durable: TrustedSync, header: HeaderSector, mapping: Mapping, refcounts: Refcounts, lazy: boolean) {
    this.#file = file
    this.#durable = durable
    this.#header = header
    this.#mapping = mapping
    this.#refcounts = refcounts
    this.#lazy = lazy
  }

  /** Whether so much has changed that it should be written now. */
  get due(): boolean {
    return this.#mapping.crowded || this.#refcounts.blocks.crowded || this.#refcounts.dropped > MAX_PENDING_FREES
  }

  /** Resolves when everything that was changed before is durable. Those who ask while a round is under way share the next one. */
  flush(): Promise<void> {
    return this.#request(false)
  }

  /** Everything, also what may wait, such as counts of what was freed. Nothing is changed meanwhile. */
  async finish(): Promise<void> {
    await this.#request(true)
    if (this.#refcounts.blocks.changed || this.#refcounts.dropped > 0) await this.#request(true)
    await this.#header.markSound()
  }

  /** One round at a time. @param all see `finish` */
  #request(all: boolean): Promise<void> {
    if (!this.#running && !this.#next) return this.#start(all)
    this.#nextIsAll ||= all
    return (this.#next ??= this.#running!.catch(() => {}) // told to those who waited for it
      .then(() => {
        const isAll = this.#nextIsAll
        this.#next = null
        this.#nextIsAll = false
        return this.#start(isAll)
      }))
  }

  #start(all: boolean): Promise<void> {
    const round = this.#round(all).finally(() => {
      if (this.#running === round) this.#running = null
    })
    return (this.#running = round)
  }

  async #round(all: boolean): Promise<void> {
    const mapping = this.#mapping.capture()
    const { blocks } = this.#refcounts
    const counts = !this.#lazy || all || blocks.tableChanged || blocks.crowded ? blocks.capture() : null
    const dropped = this.#refcounts.takeDropped()
    let prepared = false
    try {
      await this.#write([...(counts?.blocks ?? []), ...mapping.unlinked])
      await this.#durable.sync()
      if (counts?.moved) await this.#header.moveRefcountTable(counts.moved.offset, counts.moved.clusters)
      else if (counts && counts.entries.length > 0) {
        await this.#write(counts.entries)
        await this.#durable.sync()
      }
      prepared = true
      if (mapping.linked.length > 0) {
        await this.#write(mapping.linked)
        await this.#durable.sync()
      }
    } catch (error) {
      mapping.undo(prepared)
      counts?.undo()
      this.#refcounts.restoreDropped(dropped)
      throw error
    }
    if (dropped.length === 0) return
    // A table that was copied may still be read by somebody who asked for it before.
    await this.#mapping.settled()
    await this.#refcounts.free(dropped)
  }

  async #write(pieces: Piece[]): Promise<void> {
    const results = await Promise.allSettled(joined(pieces).map(({ offset, bytes }) => this.#file.write(offset, bytes)))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}

/** The same bytes in as few pieces: neighbours are written at once. */
function joined(pieces: Piece[]): Piece[] {
  const sorted = [...pieces].sort((a, b) => a.offset - b.offset)
  const result: Piece[] = []
  for (let at = 0; at < sorted.length;) {
    let next = at + 1
    while (next < sorted.length && sorted[next]!.offset === sorted[next - 1]!.offset + sorted[next - 1]!.bytes.length) next++
    const run = sorted.slice(at, next)
    result.push(run.length === 1 ? run[0]! : { offset: run[0]!.offset, bytes: concatBytes(run.map(({ bytes }) => bytes)) })
    at = next
  }
  return result
}
