/** Zeroes and discards. The caller sees to it that nobody else uses the mapping of these clusters. */
import type { ClusterReader, MappedRun } from './cluster-reader.ts'
import type { ClusterWriter } from './cluster-writer.ts'
import { KIND, ZERO_FLAG } from './entry.ts'
import type { ImageParts, WritingParts } from './image-parts.ts'

/** Bytes of zeroes written at once, where the image cannot say that a cluster is zeroes. */
const ZEROES = new Uint8Array(1024 * 1024)

/**
 * `zero`: the bytes read as zeroes afterwards. `discard`: nobody needs them; room is given back where what is below does not come to light.
 * `unmap`: as if the clusters never had been written.
 */
export type EraseMode = 'zero' | 'discard' | 'unmap'

export class ClusterEraser {
  readonly #parts: ImageParts
  readonly #writing: WritingParts
  readonly #reader: ClusterReader
  readonly #writer: ClusterWriter
  readonly #clusterSize: number

  constructor(parts: ImageParts, writing: WritingParts, reader: ClusterReader, writer: ClusterWriter) {
    this.#parts = parts
    this.#writing = writing
    this.#reader = reader
    this.#writer = writer
    this.#clusterSize = parts.header.clusterSize
  }

  /** Any bytes of the disk; parts of clusters are left alone unless they are to be zeroes. */
  async erase(offset: number, length: number, mode: EraseMode): Promise<void> {
    const size = this.#clusterSize
    const end = offset + length
    const first = Math.min(end, Math.ceil(offset / size) * size)
    // The disk may end within a cluster, which then is whole.
    const last = end === this.#parts.info.size ? end : Math.max(first, Math.floor(end / size) * size)
    if (mode === 'zero' && offset < first) await this.writeZeroes(offset, first - offset)
    await this.eraseClusters(first, last - first, mode)
    if (mode === 'zero' && last < end) await this.writeZeroes(last, end - last)
  }

  /** Whole clusters, also past the end of the disk. */
  async eraseClusters(offset: number, length: number, mode: EraseMode): Promise<void> {
    const { mapping } = this.#parts
    const { writeBack } = this.#writing
    const end = offset + length
    for (let at = offset; at < end;) {
      const run = await this.#reader.run(at, end - at)
      const entry = this.#entryFor(run, mode)
      const cluster = Math.floor(at / this.#clusterSize)
      let length = run.length
      if (entry === 'write') await this.writeZeroes(at, length)
      else if (entry !== null) {
        // A run without a table may be longer than a slice.
        const count = Math.min(Math.ceil(length / this.#clusterSize), mapping.perSlice - (cluster % mapping.perSlice))
        length = Math.min(length, count * this.#clusterSize)
        await mapping.ensureTable(cluster)
        const slice = mapping.peek(cluster) ?? (await mapping.load(cluster))
        for (let i = 0; i < count; i++) {
          this.#writer.unlink(slice, (cluster + i) % mapping.perSlice)
          mapping.set(slice, (cluster + i) % mapping.perSlice, 0, entry)
        }
      }
      at += length
      if (writeBack.due) await writeBack.flush()
    }
  }

  /** The low half of the entry that the run's clusters get; null: they stay as they are; `write`: only zeroes as data will do. */
  #entryFor(run: MappedRun, mode: EraseMode): number | 'write' | null {
    const { header } = this.#parts
    const empty = run.kind === KIND.unallocated
    if (mode === 'unmap') return empty ? null : 0
    if (run.kind === KIND.zero || (empty && (mode === 'discard' || !header.backing))) return null
    if (run.kind === KIND.zeroAllocated && mode === 'zero') return null
    if (header.version === 3) return mode === 'discard' && !header.backing ? 0 : ZERO_FLAG
    if (!header.backing) return 0
    return mode === 'discard' ? null : 'write'
  }

  /** Parts of clusters, or clusters that cannot be marked. */
  async writeZeroes(offset: number, length: number): Promise<void> {
    for (let done = 0; done < length;) {
      const run = await this.#reader.run(offset + done, length - done)
      const zero =
        run.kind === KIND.zero ||
        run.kind === KIND.zeroAllocated ||
        (run.kind === KIND.unallocated && this.#reader.backingIsZero(offset + done))
      const bytes = zero ? run.length : Math.min(run.length, ZEROES.length)
      if (!zero) await this.#writer.write(offset + done, ZEROES.subarray(0, bytes))
      done += bytes
    }
  }
}
