/** What changes in a header while its image is in use. Every change is one write of the file's first sector, durable when it resolves. */
import { Turns } from '../../../../src-shared/base/turns.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import type { NamedBacking } from '../../disk-image.ts'
import { withBacking } from './backing-name.ts'
import { CORRUPT, DIRTY, FIELD, HEADER_SECTOR, V2_HEADER_BYTES } from './header.ts'
import type { TrustedSync } from '../../file/trusted-sync.ts'

export class HeaderSector {
  readonly #file: ByteFile
  readonly #durable: TrustedSync
  #bytes: Uint8Array<ArrayBuffer>
  readonly #version: 2 | 3
  readonly #turns = new Turns()

  /** @param head at least the first sector */
  constructor(file: ByteFile, durable: TrustedSync, head: Uint8Array, version: 2 | 3) {
    this.#file = file
    this.#durable = durable
    this.#bytes = head.slice(0, HEADER_SECTOR)
    this.#version = version
  }

  /** Before anything else of the image is changed. @param lazy reference counts will lag behind */
  async beginChanges(lazy: boolean): Promise<void> {
    if (this.#version === 2) return
    await this.#change((fields) => {
      fields.setBigUint64(FIELD.autoclear, 0n)
      if (lazy) fields.setBigUint64(FIELD.incompatible, fields.getBigUint64(FIELD.incompatible) | DIRTY)
    })
  }

  /** Reference counts are right again, and the image is no longer damaged. */
  async markSound(): Promise<void> {
    if (this.#version === 2) return
    await this.#change((fields) => fields.setBigUint64(FIELD.incompatible, fields.getBigUint64(FIELD.incompatible) & ~(DIRTY | CORRUPT)))
  }

  moveRefcountTable(offset: number, clusters: number): Promise<void> {
    return this.#change((fields) => {
      fields.setBigUint64(FIELD.refcountTableOffset, BigInt(offset))
      fields.setUint32(FIELD.refcountTableClusters, clusters)
    })
  }

  moveL1(offset: number, entries: number): Promise<void> {
    return this.#change((fields) => {
      fields.setBigUint64(FIELD.l1Offset, BigInt(offset))
      fields.setUint32(FIELD.l1Entries, entries)
    })
  }

  setSize(size: number): Promise<void> {
    return this.#change((fields) => fields.setBigUint64(FIELD.size, BigInt(size)))
  }

  /** @param clusterSize bytes; @throws AppError `invalid-input`: the name does not fit */
  async setBacking(backing: NamedBacking | null, clusterSize: number): Promise<void> {
    const head = new Uint8Array(clusterSize)
    await this.#file.read(0, head)
    const better = withBacking(head, backing)
    const behind = better.subarray(HEADER_SECTOR)
    if (Buffer.compare(behind, head.subarray(HEADER_SECTOR)) !== 0) {
      await this.#file.write(HEADER_SECTOR, behind.subarray(0, behind.findLastIndex((byte, i) => byte !== head[HEADER_SECTOR + i]) + 1))
      await this.#durable.sync()
    }
    // What else changes meanwhile lies before the extensions, in fields that a new name leaves alone.
    const from = this.#version === 2 ? V2_HEADER_BYTES : new DataView(head.buffer).getUint32(FIELD.headerLength)
    await this.#change((fields) => {
      const sector = new Uint8Array(fields.buffer)
      sector.set(better.subarray(from, HEADER_SECTOR), from)
      sector.set(better.subarray(FIELD.backingOffset, FIELD.clusterBits), FIELD.backingOffset)
    })
  }

  /** Writes and syncs only where something differs. */
  #change(change: (fields: DataView) => void): Promise<void> {
    return this.#turns.run(async () => {
      const bytes = this.#bytes.slice()
      change(new DataView(bytes.buffer))
      if (Buffer.compare(bytes, this.#bytes) === 0) return
      await this.#file.write(0, bytes)
      await this.#durable.sync()
      this.#bytes = bytes
    })
  }
}
