/**
 * 9P2000.L on the wire. Pure and total: any bytes give a request, or null. Integers are little-endian, strings are UTF-8 behind a 16-bit length.
 * Sources: Plan 9 manual, section 5 (intro, version, attach, walk, read, remove, clunk, flush); 9P2000.L as the Linux kernel's
 * net/9p/client.c and diod's protocol.md describe it.
 */
import { utf8 } from '../../../src-shared/base/bytes.ts'

/** size[4] type[1] tag[2] */
export const HEADER_BYTES = 7
/** Before the data of an Rread and an Rreaddir: header, count[4]. */
export const DATA_OFFSET = HEADER_BYTES + 4
export const NO_TAG = 0xffff
/** Names in one Twalk (MAXWELEM). */
const MAX_WALK = 16

export const REPLY = {
  lerror: 7,
  statfs: 9,
  lopen: 13,
  lcreate: 15,
  symlink: 17,
  mknod: 19,
  rename: 21,
  readlink: 23,
  getattr: 25,
  setattr: 27,
  readdir: 41,
  fsync: 51,
  lock: 53,
  getlock: 55,
  link: 71,
  mkdir: 73,
  renameat: 75,
  unlinkat: 77,
  version: 101,
  attach: 105,
  flush: 109,
  walk: 111,
  read: 117,
  write: 119,
  clunk: 121,
  remove: 123,
} as const

export interface Qid {
  type: number
  version: number
  path: bigint
}
export const QID_TYPE = { folder: 0x80, link: 0x02, file: 0x00 } as const

/** What Tsetattr wants changed. */
export const SET = { mode: 1, uid: 2, gid: 4, size: 8, atime: 16, mtime: 32, atimeGiven: 128, mtimeGiven: 256 } as const

interface Bodies {
  statfs: { fid: number }
  lopen: { fid: number; flags: number }
  lcreate: { fid: number; name: string; flags: number; mode: number }
  symlink: { fid: number; name: string }
  mknod: { fid: number; name: string; mode: number }
  rename: { fid: number; folder: number; name: string }
  readlink: { fid: number }
  getattr: { fid: number }
  setattr: { fid: number; valid: number; mode: number; uid: number; gid: number; size: bigint; atime: Time; mtime: Time }
  xattrwalk: { fid: number }
  xattrcreate: { fid: number }
  readdir: { fid: number; offset: bigint; count: number }
  fsync: { fid: number }
  lock: { fid: number }
  getlock: { fid: number; start: bigint; length: bigint; process: number; client: string }
  link: { folder: number; fid: number; name: string }
  mkdir: { folder: number; name: string; mode: number }
  renameat: { oldFolder: number; oldName: string; newFolder: number; newName: string }
  unlinkat: { folder: number; name: string; flags: number }
  version: { msize: number; version: string }
  auth: { fid: number }
  attach: { fid: number; auth: number }
  flush: { oldTag: number }
  walk: { fid: number; newFid: number; names: string[] }
  read: { fid: number; offset: bigint; count: number }
  write: { fid: number; offset: bigint; data: Uint8Array }
  clunk: { fid: number }
  remove: { fid: number }
}
export type RequestKind = keyof Bodies
export type Request<Kind extends RequestKind = RequestKind> = { [K in Kind]: { kind: K; tag: number } & Bodies[K] }[Kind]

export interface Time {
  seconds: bigint
  nanoseconds: bigint
}

type Parse<Kind extends RequestKind> = (reader: Reader) => Bodies[Kind]
type Entry = { [Kind in RequestKind]: [type: number, kind: Kind, parse: Parse<Kind>] }[RequestKind]

const fidOnly = (reader: Reader): { fid: number } => ({ fid: reader.u32() })

const REQUESTS: readonly Entry[] = [
  [8, 'statfs', fidOnly],
  [12, 'lopen', (r) => ({ fid: r.u32(), flags: r.u32() })],
  [14, 'lcreate', (r) => ({ fid: r.u32(), name: r.string(), flags: r.u32(), mode: r.u32(), ...skip(r.u32()) })],
  [16, 'symlink', (r) => ({ fid: r.u32(), name: r.string(), ...skip(r.string(), r.u32()) })],
  [18, 'mknod', (r) => ({ fid: r.u32(), name: r.string(), mode: r.u32(), ...skip(r.u32(), r.u32(), r.u32()) })],
  [20, 'rename', (r) => ({ fid: r.u32(), folder: r.u32(), name: r.string() })],
  [22, 'readlink', fidOnly],
  [24, 'getattr', (r) => ({ fid: r.u32(), ...skip(r.u64()) })],
  [
    26,
    'setattr',
    (r) => ({
      ...{ fid: r.u32(), valid: r.u32(), mode: r.u32(), uid: r.u32(), gid: r.u32(), size: r.u64() },
      ...{ atime: r.time(), mtime: r.time() },
    }),
  ],
  [30, 'xattrwalk', (r) => ({ fid: r.u32(), ...skip(r.u32(), r.string()) })],
  [32, 'xattrcreate', (r) => ({ fid: r.u32(), ...skip(r.string(), r.u64(), r.u32()) })],
  [40, 'readdir', (r) => ({ fid: r.u32(), offset: r.u64(), count: r.u32() })],
  // The kernel's client sends whether the data alone are meant; others leave it away.
  [50, 'fsync', (r) => ({ fid: r.u32(), ...skip(r.left >= 4 ? r.u32() : 0) })],
  [52, 'lock', (r) => ({ fid: r.u32(), ...skip(r.u8(), r.u32(), r.u64(), r.u64(), r.u32(), r.string()) })],
  [54, 'getlock', (r) => ({ fid: r.u32(), ...skip(r.u8()), ...{ start: r.u64(), length: r.u64(), process: r.u32(), client: r.string() } })],
  [70, 'link', (r) => ({ folder: r.u32(), fid: r.u32(), name: r.string() })],
  [72, 'mkdir', (r) => ({ folder: r.u32(), name: r.string(), mode: r.u32(), ...skip(r.u32()) })],
  [74, 'renameat', (r) => ({ oldFolder: r.u32(), oldName: r.string(), newFolder: r.u32(), newName: r.string() })],
  [76, 'unlinkat', (r) => ({ folder: r.u32(), name: r.string(), flags: r.u32() })],
  [100, 'version', (r) => ({ msize: r.u32(), version: r.string() })],
  [102, 'auth', (r) => ({ fid: r.u32(), ...skip(r.string(), r.string(), r.u32()) })],
  [104, 'attach', (r) => ({ fid: r.u32(), auth: r.u32(), ...skip(r.string(), r.string(), r.u32()) })],
  [108, 'flush', (r) => ({ oldTag: r.u16() })],
  [110, 'walk', (r) => ({ fid: r.u32(), newFid: r.u32(), names: r.names() })],
  [116, 'read', (r) => ({ fid: r.u32(), offset: r.u64(), count: r.u32() })],
  [118, 'write', (r) => ({ fid: r.u32(), offset: r.u64(), data: r.data() })],
  [120, 'clunk', fidOnly],
  [122, 'remove', fidOnly],
]
const PARSERS = new Map<number, Entry>(REQUESTS.map((entry) => [entry[0], entry]))

/** Fields that say nothing to this server were read to get past them. */
function skip(..._fields: unknown[]): object {
  return {}
}

/** `unknown`: a request that this server does not have; `malformed`: no message at all. Both with the tag to answer to. */
export type Parsed = Request | { kind: 'unknown'; tag: number } | { kind: 'malformed'; tag: number }

export function parseRequest(bytes: Uint8Array): Parsed {
  const reader = new Reader(bytes)
  const size = reader.u32()
  const type = reader.u8()
  const tag = reader.u16()
  if (reader.failed) return { kind: 'malformed', tag: NO_TAG }
  if (size !== bytes.length) return { kind: 'malformed', tag }
  const entry = PARSERS.get(type)
  if (!entry) return { kind: 'unknown', tag }
  const [, kind, parse] = entry
  const body = parse(reader)
  if (reader.failed || reader.left > 0) return { kind: 'malformed', tag }
  return { kind, tag, ...body } as Request
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads on behind the end give nothing and are remembered. */
class Reader {
  failed = false
  #bytes: Uint8Array
  #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#take(1) ? this.#view.getUint8(this.#at - 1) : 0
  }
  u16(): number {
    return this.#take(2) ? this.#view.getUint16(this.#at - 2, true) : 0
  }
  u32(): number {
    return this.#take(4) ? this.#view.getUint32(this.#at - 4, true) : 0
  }
  u64(): bigint {
    return this.#take(8) ? this.#view.getBigUint64(this.#at - 8, true) : 0n
  }
  time(): Time {
    return { seconds: this.u64(), nanoseconds: this.u64() }
  }

  string(): string {
    const length = this.u16()
    if (!this.#take(length)) return ''
    try {
      return decoder.decode(this.#bytes.subarray(this.#at - length, this.#at))
    } catch {
      this.failed = true
      return ''
    }
  }

  names(): string[] {
    const count = this.u16()
    if (count > MAX_WALK) this.failed = true
    return this.failed ? [] : Array.from({ length: count }, () => this.string())
  }

  data(): Uint8Array {
    const length = this.u32()
    return this.#take(length) ? this.#bytes.subarray(this.#at - length, this.#at) : new Uint8Array(0)
  }

  #take(count: number): boolean {
    if (this.failed || count > this.left) {
      this.failed = true
      return false
    }
    this.#at += count
    return true
  }
}

/** Builds one reply of at most `capacity` bytes. Callers know how long theirs is. */
export class Reply {
  readonly bytes: Uint8Array<ArrayBuffer>
  #view: DataView
  #at = HEADER_BYTES

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.bytes.buffer)
  }

  /** Bytes that still fit. */
  get room(): number {
    return this.bytes.length - this.#at
  }

  u8(value: number): this {
    this.#view.setUint8(this.#at, value)
    return this.#skip(1)
  }
  u16(value: number): this {
    this.#view.setUint16(this.#at, value, true)
    return this.#skip(2)
  }
  u32(value: number): this {
    this.#view.setUint32(this.#at, value >>> 0, true)
    return this.#skip(4)
  }
  u64(value: bigint): this {
    this.#view.setBigUint64(this.#at, BigInt.asUintN(64, value), true)
    return this.#skip(8)
  }
  qid({ type, version, path }: Qid): this {
    return this.u8(type).u32(version).u64(path)
  }
  string(text: string): this {
    return this.name(utf8(text))
  }
  name(bytes: Uint8Array): this {
    this.u16(bytes.length)
    this.bytes.set(bytes, this.#at)
    return this.#skip(bytes.length)
  }

  /** @param dataBytes how much was put behind the count at DATA_OFFSET, for replies that carry data */
  finish(kind: keyof typeof REPLY, tag: number, dataBytes?: number): Uint8Array<ArrayBuffer> {
    if (dataBytes !== undefined) {
      this.#view.setUint32(HEADER_BYTES, dataBytes, true)
      this.#at = DATA_OFFSET + dataBytes
    }
    this.#view.setUint32(0, this.#at, true)
    this.#view.setUint8(4, REPLY[kind])
    this.#view.setUint16(5, tag, true)
    return this.bytes.subarray(0, this.#at)
  }

  #skip(count: number): this {
    this.#at += count
    return this
  }
}

/** Rlerror. */
export const ERROR_BYTES = HEADER_BYTES + 4

export function errorReply(tag: number, errno: number): Uint8Array<ArrayBuffer> {
  return new Reply(ERROR_BYTES).u32(errno).finish('lerror', tag)
}
