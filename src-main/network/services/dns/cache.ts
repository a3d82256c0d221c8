/** Answers of other servers for as long as they may be kept (RFC 1035, 3.2.1; those that say no: RFC 2308, 5). */
import type { Clock } from '../../clock.ts'
import { RCODE, TYPE, type DnsScan } from './codec.ts'
import { readName } from './name.ts'

const MAX_ENTRIES = 1000
const MAX_BYTES = 1024 * 1024
/** Seconds that an answer is kept at most, and one that says no. */
const MAX_TTL = 3600
const MAX_NEGATIVE_TTL = 300

interface Entry {
  bytes: Uint8Array<ArrayBuffer>
  ttlsAt: number[]
  /** ms of the clock. */
  at: number
  until: number
}

export class DnsCache {
  /** The one that was used last is the last. */
  readonly #entries = new Map<string, Entry>()
  readonly #clock: Clock
  #bytes = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  /** A copy with the time that passed taken off what it may be kept; null: not there. */
  get(key: string): Uint8Array<ArrayBuffer> | null {
    const entry = this.#entries.get(key)
    if (!entry) return null
    this.#drop(key, entry)
    if (this.#clock.now() >= entry.until) return null
    this.#keep(key, entry)
    const bytes = entry.bytes.slice()
    const view = new DataView(bytes.buffer)
    const passed = Math.floor((this.#clock.now() - entry.at) / 1000)
    for (const at of entry.ttlsAt) view.setUint32(at, Math.max(0, view.getUint32(at) - passed))
    return bytes
  }

  /** Keeps an answer where it may be kept. @param bytes kept, not changed */
  put(key: string, bytes: Uint8Array<ArrayBuffer>, scan: DnsScan): void {
    const seconds = lifetime(bytes, scan)
    if (seconds <= 0) return
    const before = this.#entries.get(key)
    if (before) this.#drop(key, before)
    const now = this.#clock.now()
    const ttlsAt = scan.records.filter(({ type }) => type !== TYPE.opt).map(({ ttlAt }) => ttlAt)
    this.#keep(key, { bytes, ttlsAt, at: now, until: now + seconds * 1000 })
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= MAX_ENTRIES && this.#bytes <= MAX_BYTES) break
      this.#drop(oldest, entry)
    }
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  #keep(key: string, entry: Entry): void {
    this.#entries.set(key, entry)
    this.#bytes += entry.bytes.length
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#bytes -= entry.bytes.length
  }
}

/** Seconds; 0: not to be kept. */
function lifetime(bytes: Uint8Array, { flags, records }: DnsScan): number {
  const rcode = flags & 15
  if (rcode !== RCODE.ok && rcode !== RCODE.noName) return 0
  // RFC 2181, 8: with the highest bit it counts as none.
  const ttls = records.filter(({ type }) => type !== TYPE.opt).map(({ ttl }) => (ttl > 0x7fff_ffff ? 0 : ttl))
  if (rcode === RCODE.ok && records.some(({ section }) => section === 'answer')) return Math.min(MAX_TTL, ...ttls)
  const soa = records.find(({ section, type }) => section === 'authority' && type === TYPE.soa)
  if (!soa) return 0
  const first = readName(bytes, soa.dataAt)
  const second = first && readName(bytes, first.end)
  if (!second || second.end + 20 !== soa.end) return 0
  const minimum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(second.end + 16)
  return Math.min(MAX_NEGATIVE_TTL, minimum, ...ttls)
}
