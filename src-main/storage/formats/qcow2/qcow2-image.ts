/**
 * A disk in a qcow2 image (QEMU docs/interop/qcow2.rst), versions 2 and 3.
 *
 * Theory of operation. The file is a row of clusters. The disk's clusters are found by two levels of tables (mapping.ts): an L1 table names L2
 * tables, an L2 table names clusters, or says that a cluster is zeroes, compressed, or not here, so that the backing shows through. Each cluster
 * of the file has a count of the references to it (refcounts.ts); internal snapshots share tables and clusters with the disk, and whatever has
 * more than one reference is copied before it is written (the flag COPIED says in an entry that there is just one).
 *
 * Tables change in memory and are written when somebody flushes, or when too much has changed: counts first, then entries, each made durable
 * before the next (write-back.ts), so that a crash leaves room that nobody uses, never an entry that points to what is not there or not counted.
 * A cluster's bytes get to the file before its entry is even set in memory. A cluster that loses its last reference is given to somebody else only
 * when the tables on disk no longer name it.
 *
 * Requests run at once. Each claims the disk's clusters that it touches in a RequestOrder: shared when it reads or writes in place, alone when it
 * changes the mapping. So the clusters of the file that a request has looked up stay its own until it ends, two requests never allocate for the
 * same cluster, and only those wait that have a cluster in common. The allocator and the making of L2 tables take turns (Turns), briefly.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockDevice, Extent } from '../../block-device.ts'
import type { DiskImage, NamedBacking } from '../../disk-image.ts'
import { requestGuard, type RequestGuard } from '../../request-guard.ts'
import { ClusterEraser, type EraseMode } from './cluster-eraser.ts'
import { ClusterReader } from './cluster-reader.ts'
import { ClusterWriter } from './cluster-writer.ts'
import { describe } from './describe.ts'
import { KIND, type Kind } from './entry.ts'
import type { ImageParts, WritingParts } from './image-parts.ts'
import { loadHeader } from './load-parts.ts'
import { grow, shrink } from './resize.ts'
import type { InternalSnapshot } from './snapshots.ts'

/** Runs of clusters that one call of `extent` looks at. */
const EXTENT_STEPS = 256
const SECTOR = 512
/** Snapshots that a sentence names. */
const MOST_NAMES = 5

export interface Qcow2Image extends DiskImage {
  /** Bytes. */
  readonly clusterSize: number
  /** Those inside of the file, oldest first. They are kept as they are. */
  readonly snapshots: readonly InternalSnapshot[]
  /** Writes whole clusters in as little room as they take. Each later write into one takes a new cluster. */
  readonly packed: NonNullable<DiskImage['packed']>
  readonly rewriteLoses: string | null
  resize(size: number): Promise<void>
  setBacking(backing: NamedBacking | null): Promise<void>
}

/** What an image has that may be changed. */
interface Changing {
  writing: WritingParts
  writer: ClusterWriter
  eraser: ClusterEraser
}

export class Qcow2Device implements Qcow2Image {
  readonly #parts: ImageParts
  readonly snapshots: readonly InternalSnapshot[]
  readonly #guard: RequestGuard
  readonly #reader: ClusterReader
  readonly #change: Changing | null
  /** The header says that the image is being changed. */
  #begun: Promise<void> | null = null
  /** Requests under way that change the image. */
  #changes = 0
  #onUnchanging: (() => void) | null = null
  #closing: Promise<void> | null = null

  constructor(parts: ImageParts, snapshots: readonly InternalSnapshot[]) {
    this.#parts = parts
    this.snapshots = snapshots
    this.#guard = requestGuard(parts.info, parts.file.path)
    this.#reader = new ClusterReader(parts)
    const { writing } = parts
    if (!writing) this.#change = null
    else {
      const writer = new ClusterWriter(parts, writing, this.#reader)
      this.#change = { writing, writer, eraser: new ClusterEraser(parts, writing, this.#reader, writer) }
    }
  }

  get info(): BlockDevice['info'] {
    return this.#parts.info
  }

  get clusterSize(): number {
    return this.#parts.header.clusterSize
  }

  get backing(): NamedBacking | null {
    return this.#parts.header.backing
  }

  get details(): DiskImage['details'] {
    return describe(this.#parts.header, this.snapshots)
  }

  get rewriteLoses(): string | null {
    const names = this.snapshots.map(({ id, name }) => `“${name || id}”`)
    if (names.length === 0) return null
    const which =
      names.length <= MOST_NAMES ? names.join(', ') : `${names.slice(0, MOST_NAMES).join(', ')} and ${names.length - MOST_NAMES} more`
    return `The disk image “${this.#parts.file.path}” has internal snapshots (${which}), which would be lost. Delete them with the program that made them, or convert the image, which leaves them out.`
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#guard.reading(offset, into.length)
    if (into.length > 0) await this.#claim(false, offset, into.length, () => this.#reader.read(offset, into))
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#guard.writing(offset, bytes.length)
    if (bytes.length === 0) return
    await this.#changing(async ({ writer }) => {
      if (await this.#claim(false, offset, bytes.length, () => writer.writeInPlace(offset, bytes))) return
      await this.#claim(true, offset, bytes.length, () => writer.write(offset, bytes))
      await this.#writeBackIfDue()
    })
  }

  writeZeroes(offset: number, length: number): Promise<void> {
    return this.#erase(offset, length, 'zero')
  }

  discard(offset: number, length: number): Promise<void> {
    return this.#erase(offset, length, 'discard')
  }

  get packed(): Qcow2Image['packed'] {
    return { clusterSize: this.clusterSize, write: (offset, cluster) => this.#writeCompressed(offset, cluster) }
  }

  async #writeCompressed(offset: number, bytes: Uint8Array): Promise<void> {
    const { clusterSize } = this
    this.#guard.writing(offset, bytes.length)
    if (offset % clusterSize !== 0 || bytes.length !== Math.min(clusterSize, this.info.size - offset))
      throw new AppError(
        'invalid-input',
        `Only whole clusters (${clusterSize} bytes) can be compressed, not ${bytes.length} bytes at ${offset}.`,
      )
    let cluster = bytes
    if (bytes.length < clusterSize) {
      cluster = new Uint8Array(clusterSize)
      cluster.set(bytes)
    }
    await this.#changing(async ({ writer }) => {
      const compressed = await writer.compress(cluster)
      await this.#claim(true, offset, bytes.length, async () => {
        if (!(await writer.writeCompressed(offset, cluster, compressed))) await writer.write(offset, bytes)
      })
      await this.#writeBackIfDue()
    })
  }

  async flush(): Promise<void> {
    this.#guard.open()
    await this.#parts.writing?.writeBack.flush()
  }

  async extent(offset: number, length: number): Promise<Extent> {
    this.#guard.reading(offset, length)
    if (length === 0) throw new AppError('invalid-input', 'An extent of no bytes was asked for.')
    const first = await this.#reader.run(offset, length)
    const extent: Extent = { length: first.length, state: stateOf(first.kind) }
    for (let step = 1; step < EXTENT_STEPS && extent.length < length; step++) {
      const next = await this.#reader.run(offset + extent.length, length - extent.length)
      if (stateOf(next.kind) !== extent.state) break
      extent.length += next.length
    }
    return extent
  }

  /** Bytes, a multiple of 512. @throws AppError `unsupported`: version 2 with internal snapshots, which do not know their disk's size */
  async resize(size: number): Promise<void> {
    this.#guard.writing(0, 0)
    if (!Number.isSafeInteger(size) || size < 0 || size % SECTOR !== 0)
      throw new AppError('invalid-input', `A disk cannot have ${size} bytes: its size is a multiple of ${SECTOR}.`)
    if (this.#parts.header.version === 2 && this.snapshots.length > 0)
      throw new AppError(
        'unsupported',
        `The disk image “${this.#parts.file.path}” has internal snapshots and is of version 2, which cannot be resized then. Convert it first.`,
      )
    await this.#changing(({ writing, eraser }) =>
      this.#alone(async () => {
        if (size > this.info.size) await grow(this.#parts, writing, eraser, size)
        else if (size < this.info.size) await shrink(this.#parts, writing, eraser, size)
      }),
    )
  }

  async setBacking(backing: NamedBacking | null): Promise<void> {
    this.#guard.writing(0, 0)
    await this.#changing(({ writing }) =>
      this.#alone(async () => {
        const { file, header } = this.#parts
        await writing.writeBack.flush()
        await writing.headerSector.setBacking(backing, header.clusterSize)
        header.backing = (await loadHeader(file)).header.backing
      }),
    )
  }

  close(): Promise<void> {
    this.#guard.end()
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { file, writing, order, backing } = this.#parts
    try {
      if (this.#changes > 0) await new Promise<void>((resolve) => (this.#onUnchanging = resolve))
      await order.idle()
      if (writing) {
        await writing.writeBack.finish()
        // Other programs expect whole clusters.
        if (file.size < writing.refcounts.end) await file.truncate(writing.refcounts.end)
      }
    } finally {
      try {
        await file.close()
      } finally {
        await backing?.close()
      }
    }
  }

  async #erase(offset: number, length: number, mode: EraseMode): Promise<void> {
    this.#guard.writing(offset, length)
    if (length === 0) return
    await this.#changing(async ({ eraser }) => {
      await this.#claim(true, offset, length, () => eraser.erase(offset, length, mode))
      await this.#writeBackIfDue()
    })
  }

  /** Runs what changes the image, when its header says that it is being changed. */
  async #changing(work: (change: Changing) => Promise<void>): Promise<void> {
    const change = this.#change!
    this.#changes++
    try {
      this.#begun ??= change.writing.headerSector.beginChanges(this.#parts.header.lazyRefcounts)
      await this.#begun.catch((error: unknown) => {
        this.#begun = null
        throw error
      })
      await work(change)
    } finally {
      if (--this.#changes === 0) this.#onUnchanging?.()
    }
  }

  #claim<T>(alone: boolean, offset: number, length: number, work: () => Promise<T>): Promise<T> {
    const size = this.#parts.header.clusterSize
    const start = offset - (offset % size)
    return this.#parts.order.run(alone, start, Math.ceil((offset + length) / size) * size - start, work)
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#parts.order.run(true, 0, Number.MAX_SAFE_INTEGER, work)
  }

  async #writeBackIfDue(): Promise<void> {
    const { writeBack } = this.#parts.writing!
    if (writeBack.due) await writeBack.flush()
  }
}

function stateOf(kind: Kind): Extent['state'] {
  if (kind === KIND.unallocated) return 'unallocated'
  return kind === KIND.data || kind === KIND.compressed ? 'data' : 'zero'
}
