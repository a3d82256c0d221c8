/**
 * A 9P2000.L server for one shared folder. Theory of operation: each request is answered by itself and asynchronously; the guest's client sees to it
 * that what depends on each other comes one after the other, and a guest that does not confuses itself only. Whatever bytes come, there is
 * an answer: errors are Rlerror with a number of Linux'. What the server is told to do reaches the host's files by file-tree.ts alone,
 * and only by paths of names that were checked one by one; ".." is answered from the path, and at the root stays there.
 *
 * A guest's root is the owner of everything, and no other owner can be kept. Symbolic links are shown, and made by nobody: one that a guest
 * makes could send a program of this computer, which follows it, anywhere. Nor are devices, pipes and sockets made. Locks hold
 * among the guest's own programs (its kernel sees to those), and extended attributes there are none.
 * Source: as codec.ts; the meaning of the flags is that of Linux' open(2) and unlinkat(2) on all architectures (include/net/9p/9p.h).
 */
import { utf8 } from '../../../src-shared/base/bytes.ts'
import {
  DATA_OFFSET,
  ERROR_BYTES,
  errorReply,
  HEADER_BYTES,
  parseRequest,
  Reply,
  SET,
  type Parsed,
  type Qid,
  type Request,
  type RequestKind,
} from './codec.ts'
import { ERRNO, errnoOf, Refusal } from './errno.ts'
import { Fids, MAX_PATH, savedFidsSchema, type SavedFids } from './fids.ts'
import { MODE, type Change, type FileTree, type FolderEntry, type Path } from './file-tree.ts'
import { nameProblem } from './names.ts'
import { attributesReply, offsetOf, putEntry, qidOf, secondsOf, spaceReply, wishOf } from './translate.ts'

/** Bytes of the largest message. The kernel's virtio transport takes 500 KiB at most. */
export const MAX_MESSAGE = 512 * 1024
const MIN_MESSAGE = 4096
const VERSION = '9P2000.L'
const NO_FID = 0xffffffff

const AT_REMOVEDIR = 0x200
const LOCK_SUCCESS = 0
const LOCK_TYPE_UNLOCK = 2
/** Bytes of a link's target: PATH_MAX of Linux. */
const MAX_LINK = 4096

/** Requests that change something whatever they say. An open may, too. */
const CHANGES: ReadonlySet<string> = new Set<RequestKind>([
  ...(['lcreate', 'symlink', 'mknod', 'mkdir', 'link'] satisfies RequestKind[]),
  ...(['rename', 'renameat', 'unlinkat', 'remove', 'write', 'setattr', 'xattrcreate'] satisfies RequestKind[]),
])

export interface ServerOptions {
  readOnly: boolean
}

export class NinepServer {
  #tree: FileTree
  #readOnly: boolean
  #fids: Fids
  /** 0: the guest has not begun. */
  #msize = 0
  /** Requests that are not answered yet, and the last of each tag. */
  #underWay = new Set<Promise<unknown>>()
  #pending = new Map<number, Promise<unknown>>()

  constructor(tree: FileTree, { readOnly }: ServerOptions) {
    this.#tree = tree
    this.#readOnly = readOnly
    this.#fids = new Fids(tree)
  }

  /** Answers any bytes; never rejects. The request must not be changed before. */
  handle(request: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const parsed = parseRequest(request)
    const answer = this.#answer(parsed)
    const { tag } = parsed
    this.#pending.set(tag, answer)
    this.#underWay.add(answer)
    return answer.finally(() => {
      this.#underWay.delete(answer)
      if (this.#pending.get(tag) === answer) this.#pending.delete(tag)
    })
  }

  /** Forgets the guest: it was reset. Never rejects. */
  async reset(): Promise<void> {
    const fids = this.#fids
    this.#msize = 0
    // What is under way puts its fids where nobody looks.
    this.#fids = new Fids(this.#tree)
    await fids.clear()
  }

  /** Ends it, and the tree when nothing is done there any more. Never rejects. */
  async close(): Promise<void> {
    await this.reset()
    await Promise.all(this.#underWay)
    this.#tree.close()
  }

  /** What the guest holds, for a memory state. No request is under way. */
  save(): SavedFids {
    return { msize: this.#msize, fids: this.#fids.save() }
  }

  /** @throws where it is none that `save` gave */
  load(saved: unknown): void {
    const { msize, fids } = savedFidsSchema.parse(saved)
    this.#msize = Math.min(msize, MAX_MESSAGE)
    this.#fids.load(fids)
  }

  async #answer(request: Parsed): Promise<Uint8Array<ArrayBuffer>> {
    const { tag } = request
    try {
      if (request.kind === 'malformed') return errorReply(tag, ERRNO.EINVAL)
      if (request.kind === 'unknown') return errorReply(tag, ERRNO.EOPNOTSUPP)
      if (request.kind === 'version') return await this.#version(request)
      if (this.#msize === 0) return errorReply(tag, ERRNO.EIO)
      if (this.#readOnly && CHANGES.has(request.kind)) return errorReply(tag, ERRNO.EROFS)
      return await this.#perform(request)
    } catch (error) {
      return errorReply(tag, errnoOf(error))
    }
  }

  async #perform(request: Request): Promise<Uint8Array<ArrayBuffer>> {
    const { tag, kind } = request
    switch (kind) {
      case 'attach':
        return this.#attach(request)
      case 'walk':
        return this.#walk(request)
      case 'lopen':
        return this.#lopen(request)
      case 'lcreate':
        return this.#lcreate(request)
      case 'read':
        return this.#read(request)
      case 'write':
        return this.#write(request)
      case 'readdir':
        return this.#readdir(request)
      case 'getattr':
        return attributesReply(tag, await this.#fids.get(request.fid).attributes())
      case 'setattr':
        return this.#setattr(request)
      case 'statfs':
        this.#fids.get(request.fid)
        return spaceReply(tag, await this.#tree.space())
      case 'readlink': {
        const target = utf8(await this.#tree.readLink(this.#fids.get(request.fid).path))
        if (target.length > MAX_LINK) throw new Refusal('ENAMETOOLONG')
        return new Reply(HEADER_BYTES + 2 + target.length).name(target).finish('readlink', tag)
      }
      case 'mkdir': {
        const path = this.#child(request.folder, request.name)
        await this.#tree.makeFolder(path, request.mode)
        return new Reply(HEADER_BYTES + 13).qid(await this.#qid(path)).finish('mkdir', tag)
      }
      case 'mknod': {
        if ((request.mode & MODE.type) !== MODE.file) throw new Refusal('EPERM')
        const path = this.#child(request.fid, request.name)
        const file = await this.#tree.create(path, request.mode, { read: false, write: true, truncate: false, append: false })
        await file.close()
        return new Reply(HEADER_BYTES + 13).qid(await this.#qid(path)).finish('mknod', tag)
      }
      case 'link':
        await this.#tree.link(this.#fids.get(request.fid).path, this.#child(request.folder, request.name))
        return done('link', tag)
      case 'rename':
        await this.#rename(this.#fids.get(request.fid).path, this.#child(request.folder, request.name))
        return done('rename', tag)
      case 'renameat':
        await this.#rename(this.#child(request.oldFolder, request.oldName), this.#child(request.newFolder, request.newName))
        return done('renameat', tag)
      case 'unlinkat':
        await this.#tree.remove(this.#child(request.folder, request.name), request.flags & AT_REMOVEDIR ? 'folder' : 'file')
        return done('unlinkat', tag)
      case 'remove':
        await this.#remove(request.fid)
        return done('remove', tag)
      case 'fsync':
        if (this.#fids.get(request.fid).open !== 'folder') await (await this.#fids.get(request.fid).file('any')).sync()
        return done('fsync', tag)
      case 'clunk':
        await this.#fids.remove(request.fid)
        return done('clunk', tag)
      case 'flush':
        // The answer to a request that is not worth one any more comes before the answer to this.
        await this.#pending.get(request.oldTag)?.catch(() => {})
        return done('flush', tag)
      case 'lock':
        this.#fids.get(request.fid)
        return new Reply(HEADER_BYTES + 1).u8(LOCK_SUCCESS).finish('lock', tag)
      case 'getlock': {
        this.#fids.get(request.fid)
        const client = utf8(request.client)
        const reply = new Reply(HEADER_BYTES + 23 + client.length).u8(LOCK_TYPE_UNLOCK).u64(request.start).u64(request.length)
        return reply.u32(request.process).name(client).finish('getlock', tag)
      }
      case 'symlink':
        throw new Refusal('EPERM')
      case 'auth':
      case 'xattrwalk':
      case 'xattrcreate':
      default:
        throw new Refusal('EOPNOTSUPP')
    }
  }

  async #version({ tag, msize, version }: Request<'version'>): Promise<Uint8Array<ArrayBuffer>> {
    await this.reset()
    const agreed = Math.min(msize, MAX_MESSAGE)
    const known = version === VERSION && agreed >= MIN_MESSAGE
    if (known) this.#msize = agreed
    return new Reply(HEADER_BYTES + 32)
      .u32(agreed)
      .string(known ? VERSION : 'unknown')
      .finish('version', tag)
  }

  async #attach({ tag, fid, auth }: Request<'attach'>): Promise<Uint8Array<ArrayBuffer>> {
    if (auth !== NO_FID) throw new Refusal('EOPNOTSUPP')
    const fids = this.#fids
    const qid = await this.#qid([])
    fids.add(fid, [])
    return new Reply(HEADER_BYTES + 13).qid(qid).finish('attach', tag)
  }

  async #walk({ tag, fid, newFid, names }: Request<'walk'>): Promise<Uint8Array<ArrayBuffer>> {
    const fids = this.#fids
    const from = fids.get(fid)
    if (fid !== newFid && fids.has(newFid)) throw new Refusal('EINVAL')
    let path = from.path
    const qids: Qid[] = []
    for (const name of names) {
      try {
        const next = name === '..' ? path.slice(0, -1) : joined(path, name)
        qids.push(await this.#qid(next))
        path = next
      } catch (error) {
        if (qids.length === 0) throw error
        break
      }
    }
    if (qids.length === names.length) {
      if (fid === newFid) fids.move(fid, path)
      else fids.add(newFid, path)
    }
    const reply = new Reply(HEADER_BYTES + 2 + 13 * qids.length).u16(qids.length)
    for (const qid of qids) reply.qid(qid)
    return reply.finish('walk', tag)
  }

  async #lopen({ tag, fid: number, flags }: Request<'lopen'>): Promise<Uint8Array<ArrayBuffer>> {
    const fid = this.#fids.get(number)
    const wish = wishOf(flags)
    if (this.#readOnly && (wish.write || wish.truncate)) throw new Refusal('EROFS')
    const { mode } = await this.#tree.attributes(fid.path)
    if ((mode & MODE.type) === MODE.folder) {
      if (wish.write) throw new Refusal('EISDIR')
      fid.openFolder()
    } else {
      await fid.openFile(wish, () => this.#tree.open(fid.path, wish))
    }
    return new Reply(HEADER_BYTES + 17)
      .qid(await this.#qid(fid.path))
      .u32(0)
      .finish('lopen', tag)
  }

  async #lcreate({ tag, fid: number, name, flags, mode }: Request<'lcreate'>): Promise<Uint8Array<ArrayBuffer>> {
    const fid = this.#fids.get(number)
    const path = this.#child(number, name)
    const wish = wishOf(flags)
    await fid.openFile(wish, async () => {
      try {
        return await this.#tree.create(path, mode, wish)
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'EEXIST' || wish.exclusive) throw error
        return await this.#tree.open(path, wish)
      }
    })
    fid.path = path
    return new Reply(HEADER_BYTES + 17)
      .qid(await this.#qid(path))
      .u32(0)
      .finish('lcreate', tag)
  }

  async #read({ tag, fid, offset, count }: Request<'read'>): Promise<Uint8Array<ArrayBuffer>> {
    const file = await this.#fids.get(fid).file('read')
    const reply = new Reply(DATA_OFFSET + Math.min(count, this.#room))
    const length = await file.read(reply.bytes.subarray(DATA_OFFSET), offsetOf(offset))
    return reply.finish('read', tag, length)
  }

  async #write({ tag, fid, offset, data }: Request<'write'>): Promise<Uint8Array<ArrayBuffer>> {
    const file = await this.#fids.get(fid).file('write')
    return new Reply(HEADER_BYTES + 4).u32(await file.write(data, offsetOf(offset))).finish('write', tag)
  }

  /** Entries 0 and 1 are "." and "..". */
  async #readdir({ tag, fid: number, offset, count }: Request<'readdir'>): Promise<Uint8Array<ArrayBuffer>> {
    const fid = this.#fids.get(number)
    const reply = new Reply(DATA_OFFSET + Math.min(count, this.#room)).u32(0)
    const empty = reply.room
    let next = offsetOf(offset)
    const put = (entry: FolderEntry, following: number): boolean => {
      const fits = putEntry(reply, entry, following)
      if (fits) next = following
      return fits
    }
    if (fid.open !== 'folder') throw new Refusal('EBADF')
    let more = true
    if (next === 0) more = put({ name: utf8('.'), attributes: await this.#tree.attributes(fid.path) }, 1)
    if (next === 1) more = put({ name: utf8('..'), attributes: await this.#tree.attributes(fid.path.slice(0, -1)) }, 2)
    if (more) await fid.readEntries(next - 2, (entry, following) => put(entry, following + 2))
    return reply.finish('readdir', tag, empty - reply.room)
  }

  async #setattr({ tag, fid: number, valid, mode, uid, gid, size, atime, mtime }: Request<'setattr'>): Promise<Uint8Array<ArrayBuffer>> {
    const fid = this.#fids.get(number)
    if ((valid & SET.uid && uid !== 0) || (valid & SET.gid && gid !== 0)) throw new Refusal('EPERM')
    if (valid & SET.size && fid.open !== null && fid.open !== 'folder' && fid.open.write) {
      const file = await fid.file('write')
      await file.truncate(offsetOf(size))
      valid &= ~SET.size
    }
    const change: Change = {}
    if (valid & SET.mode) change.mode = mode
    if (valid & SET.size) change.bytes = offsetOf(size)
    if (valid & SET.atime) change.accessed = valid & SET.atimeGiven ? secondsOf(atime) : Date.now() / 1000
    if (valid & SET.mtime) change.modified = valid & SET.mtimeGiven ? secondsOf(mtime) : Date.now() / 1000
    if (Object.keys(change).length > 0) await this.#tree.change(fid.path, change)
    return done('setattr', tag)
  }

  async #rename(from: Path, to: Path): Promise<void> {
    if (from.length === 0) throw new Refusal('EBUSY')
    await this.#tree.rename(from, to)
    this.#fids.renamed(from, to)
  }

  /** The fid is gone also where this fails. */
  async #remove(number: number): Promise<void> {
    const { path } = this.#fids.get(number)
    await this.#fids.remove(number)
    if (path.length === 0) throw new Refusal('EBUSY')
    const { mode } = await this.#tree.attributes(path)
    await this.#tree.remove(path, (mode & MODE.type) === MODE.folder ? 'folder' : 'file')
  }

  /** @throws Refusal where it is no name of a file in a folder */
  #child(folder: number, name: string): Path {
    return joined(this.#fids.get(folder).path, name)
  }

  async #qid(path: Path): Promise<Qid> {
    return qidOf(await this.#tree.attributes(path))
  }

  /** Bytes of data that a reply can carry. */
  get #room(): number {
    return this.#msize - DATA_OFFSET
  }
}

function done(
  kind: 'link' | 'rename' | 'renameat' | 'unlinkat' | 'remove' | 'fsync' | 'clunk' | 'flush' | 'setattr',
  tag: number,
): Uint8Array<ArrayBuffer> {
  return new Reply(ERROR_BYTES).finish(kind, tag)
}

function joined(path: Path, name: string): Path {
  const problem = nameProblem(name, 'linux')
  if (problem !== null) throw new Refusal(problem)
  const longer = [...path, name]
  if (utf8(longer.join('/')).length > MAX_PATH) throw new Refusal('ENAMETOOLONG')
  return longer
}
