/**
 * One writer for an image, or any number of readers. Theory of operation: within this thread a table of open files (by device and inode, so that links
 * and other spellings of a path are seen) decides. Against other threads and processes a writer makes a lock file beside the image: it writes
 * its content under another name and links it to its own, which only one can do and which a crash leaves whole or not at all; readers only look whether
 * there is a live one, because they may have no right to write there. The lock is advisory.
 *
 * A lock file outlives a crash. It names its owner (computer, process id and start, thread) and the image's inode, and it is stale when the
 * process or the thread is gone, or when it was copied along with a bundle and names another inode. Taking over a stale lock first renames it
 * away, which only one of several takers can do, and looks again at what it got. What cannot be judged (another computer on a shared folder,
 * a half-written file that is young, where there are no links) counts as live.
 */
import { hostname } from 'node:os'
import { link, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { postMessageToThread, threadId } from 'node:worker_threads'
import { z } from 'zod'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { NO_LINKS } from '../../files/no-links.ts'
import { temporaryFor } from '../../files/write-file-atomic.ts'
import { isSameProcess, ownStart } from '../../process/process-start.ts'

/** ms; a lock file that cannot be read may still be being written by its owner. */
const YOUNG = 10_000
/** Tries to get the lock while others release theirs. */
const TRIES = 5

const ownerSchema = z.object({
  host: z.string(),
  pid: z.number().int().positive(),
  start: z.string(),
  thread: z.number().int().min(0),
  image: z.string(),
  token: z.string(),
})
type Owner = z.output<typeof ownerSchema>

export interface ImageLock {
  /** Idempotent. */
  release(): Promise<void>
}

/** By "device:inode": how many readers, or a writer. */
const held = new Map<string, number | 'writer'>()

/**
 * @param path of the image (links are followed); @param identity "device:inode" of the opened file
 * @param lockFile false for devices, whose folder is not a place for lock files
 * @throws AppError `busy` when somebody else has it; or the system's reason when the lock file cannot be made
 */
export async function lockImage(path: string, identity: string, access: 'read' | 'write', lockFile: boolean): Promise<ImageLock> {
  const others = held.get(identity)
  if (others === 'writer' || (others !== undefined && access === 'write')) throw busy(path, 'by another machine')
  // Taken before the first await, so that a second opener in this thread cannot slip in between.
  held.set(identity, access === 'write' ? 'writer' : (others ?? 0) + 1)
  try {
    const release = lockFile ? await lockAgainstOthers(path, identity, access) : async (): Promise<void> => {}
    let released: Promise<void> | null = null
    return { release: () => (released ??= release().finally(() => drop(identity))) }
  } catch (error) {
    drop(identity)
    throw asAppError(error, `Locking “${path}”`)
  }
}

function drop(identity: string): void {
  const count = held.get(identity)
  if (typeof count === 'number' && count > 1) held.set(identity, count - 1)
  else held.delete(identity)
}

/** The lock file of an image; hidden where names with a full stop are. */
export async function lockFileOf(path: string): Promise<string> {
  const real = await realpath(path)
  return join(dirname(real), `.${basename(real).slice(0, 200)}.coppice-lock`)
}

async function lockAgainstOthers(path: string, identity: string, access: 'read' | 'write'): Promise<() => Promise<void>> {
  const file = await lockFileOf(path)
  if (access === 'read') {
    const owner = await liveOwner(file, identity)
    if (owner !== null) throw busy(path, owner)
    return async () => {}
  }
  answerAliveChecks()
  const me = await myself(identity)
  for (let tries = 0; tries < TRIES; tries++) {
    if (await create(file, me)) return () => giveBack(file, me)
    const owner = await liveOwner(file, identity)
    if (owner !== null) throw busy(path, owner)
    await removeStale(file, identity)
  }
  throw busy(path, 'by another program')
}

async function myself(image: string): Promise<Owner> {
  return { host: hostname(), pid: process.pid, start: await ownStart(), thread: threadId, image, token: crypto.randomUUID() }
}

/** @returns false: there is one */
async function create(file: string, owner: Owner): Promise<boolean> {
  const temporary = temporaryFor(file)
  try {
    await writeNew(temporary, owner)
    await link(temporary, file)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') return false
    if (!NO_LINKS.includes(code)) throw error
  } finally {
    await unlink(temporary).catch(() => {})
  }
  return createInPlace(file, owner)
}

/** Where files have one name only: for a moment the lock is half written, which `liveOwner` takes into account. */
async function createInPlace(file: string, owner: Owner): Promise<boolean> {
  try {
    await writeNew(file, owner)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function writeNew(path: string, owner: Owner): Promise<void> {
  const handle = await open(path, 'wx', 0o644)
  try {
    await handle.writeFile(JSON.stringify(owner))
  } finally {
    await handle.close()
  }
}

/** Only our own lock is removed: ours may have been judged stale on a suspended computer and be somebody else's by now. */
async function giveBack(file: string, me: Owner): Promise<void> {
  if ((await readOwner(file))?.token === me.token) await unlink(file).catch(() => {})
}

/** Who holds the lock, for a sentence ("by process 12"); null when nobody does, or nobody alive. */
async function liveOwner(file: string, identity: string): Promise<string | null> {
  const owner = await readOwner(file)
  if (owner === null) {
    const age = await stat(file).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => Infinity,
    )
    return Math.abs(age) < YOUNG ? 'by a program that opens it at this moment' : null
  }
  if (owner.image !== identity) return null
  if (owner.host !== hostname()) return `on the computer “${owner.host}”; if it is not, delete “${file}”`
  if (!(await isSameProcess(owner.pid, owner.start))) return null
  if (owner.pid === process.pid && !(await threadLives(owner.thread))) return null
  return owner.pid === process.pid ? 'by another machine' : `by process ${owner.pid}`
}

async function readOwner(file: string): Promise<Owner | null> {
  try {
    const text = await readFile(file, 'utf8')
    return ownerSchema.parse(JSON.parse(text))
  } catch {
    return null
  }
}

async function removeStale(file: string, identity: string): Promise<void> {
  const aside = `${file}.${crypto.randomUUID().slice(0, 8)}`
  try {
    await rename(file, aside)
  } catch {
    return // another taker was first
  }
  // Between the look and the rename the lock may have become somebody's: then it is put back.
  if ((await liveOwner(aside, identity)) !== null) await link(aside, file).catch(() => {})
  await unlink(aside).catch(() => {})
}

let answering = false

/** A thread that has locks answers whether it lives (`threadLives`): without a listener, it would count as gone. */
function answerAliveChecks(): void {
  if (answering) return
  answering = true
  process.on('workerMessage', () => {})
}

async function threadLives(thread: number): Promise<boolean> {
  if (thread === threadId) return true
  try {
    await postMessageToThread(thread, 'coppice-lock: are you there?', 5000)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ERR_WORKER_MESSAGING_FAILED'
  }
}

function busy(path: string, whom: string): AppError {
  return new AppError('busy', `The disk image “${path}” is in use ${whom}. Stop what uses it and try again.`, { subject: path })
}
