/** What the server's files are in the protocol's words, and the other way round. Pure. */
import { HEADER_BYTES, QID_TYPE, Reply, type Qid, type Time } from './codec.ts'
import { Refusal } from './errno.ts'
import { MODE, type Attributes, type FolderEntry, type OpenWish, type Space } from './file-tree.ts'

/** P9_DOTL_*: what an open asks for. */
const OPEN = { access: 3, writeOnly: 1, readWrite: 2, exclusive: 0o200, truncate: 0o1000, append: 0o2000 } as const
const V9FS_MAGIC = 0x01021997
const MAX_NAME_BYTES = 255
/** Valid fields, qid, mode, owners, times and the like of one file. */
const GETATTR_BYTES = HEADER_BYTES + 153
/** Everything that stat(2) gives. */
const GETATTR_BASIC = 0x7ffn
const STATFS_BYTES = HEADER_BYTES + 60
/** What a folder's entry has beside its name: qid, offset, type, length. */
const ENTRY_BYTES = 13 + 8 + 1 + 2
const SECOND = 1_000_000_000n

export function wishOf(flags: number): OpenWish & { exclusive: boolean } {
  const access = flags & OPEN.access
  return {
    read: access !== OPEN.writeOnly,
    write: access === OPEN.writeOnly || access === OPEN.readWrite,
    truncate: (flags & OPEN.truncate) !== 0,
    append: (flags & OPEN.append) !== 0,
    exclusive: (flags & OPEN.exclusive) !== 0,
  }
}

/** A place in a file, bytes. @throws Refusal where no file reaches so far */
export function offsetOf(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refusal('EFBIG')
  return Number(value)
}

/** Unix seconds. */
export function secondsOf({ seconds, nanoseconds }: Time): number {
  return Number(BigInt.asIntN(64, seconds)) + Number(nanoseconds % SECOND) / 1e9
}

export function qidOf({ mode, id, modified, bytes }: Attributes): Qid {
  const kind = mode & MODE.type
  const type = kind === MODE.folder ? QID_TYPE.folder : kind === MODE.link ? QID_TYPE.link : QID_TYPE.file
  return { type, version: Number(BigInt.asUintN(32, modified ^ (bytes << 8n))), path: id }
}

/** Rgetattr. Owner and group are the guest's root; no device has a number. */
export function attributesReply(tag: number, found: Attributes): Uint8Array<ArrayBuffer> {
  const reply = new Reply(GETATTR_BYTES).u64(GETATTR_BASIC).qid(qidOf(found)).u32(found.mode)
  reply.u32(0).u32(0).u64(found.links).u64(0n)
  reply.u64(found.bytes).u64(found.blockBytes).u64(found.blocks)
  for (const time of [found.accessed, found.modified, found.changed]) {
    const nanoseconds = ((time % SECOND) + SECOND) % SECOND
    reply.u64((time - nanoseconds) / SECOND).u64(nanoseconds)
  }
  // Born, generation, data version: not known.
  return reply.u64(0n).u64(0n).u64(0n).u64(0n).finish('getattr', tag)
}

/** Rstatfs. */
export function spaceReply(tag: number, space: Space): Uint8Array<ArrayBuffer> {
  const reply = new Reply(STATFS_BYTES).u32(V9FS_MAGIC).u32(Number(space.blockBytes))
  reply.u64(space.blocks).u64(space.freeBlocks).u64(space.availableBlocks).u64(space.files).u64(space.freeFiles)
  return reply.u64(0n).u32(MAX_NAME_BYTES).finish('statfs', tag)
}

/**
 * Puts an entry into an Rreaddir.
 * @param next where to go on after it
 * @returns false where it does not fit
 */
export function putEntry(reply: Reply, { name, attributes }: FolderEntry, next: number): boolean {
  if (ENTRY_BYTES + name.length > reply.room) return false
  reply.qid(qidOf(attributes)).u64(BigInt(next))
  // DT_*, which are the type bits of st_mode.
  reply.u8((attributes.mode & MODE.type) >> 12).name(name)
  return true
}
