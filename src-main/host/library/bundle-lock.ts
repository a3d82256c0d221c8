/**
 * Who runs a bundle: a file in it that names a process. Two hosts never run one machine, even where both see the same folder. Theory of operation:
 * the file is created exclusively (link(2), else O_EXCL), so one creator wins. It is stale when its process is gone: no such process, or one that started at
 * another time (the number was used again, in this start of the computer or a later one). A stale file is first renamed away, which
 * one of several comers can do, and what was renamed is checked to be what was judged. A lock of another computer (a shared folder) cannot be
 * judged from here and is respected. The file also says whether a guest runs by it, from just before its first instruction on: where its process
 * is gone, that tells a machine that ended with it from one that had not begun. Who takes a stale lock over leaves that as it was until the
 * lock is released.
 */
import { link, open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { newId } from '../../../src-shared/base/ids.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { NO_LINKS } from '../../files/no-links.ts'
import { temporaryFor, writeFileAtomic } from '../../files/write-file-atomic.ts'
import { isSameProcess, ownStart, UNKNOWN } from '../../process/process-start.ts'

/** ms after which a lock file without readable content is taken for one whose writer died. */
const WRITING_TIME = 5000

interface LockOwner {
  pid: number
  /** Which run of the process id: see process-start.ts. */
  start: string
  host: string
  /** Tells one locking from another. */
  token: string
  /** No guest has begun to run by it. */
  atRest: boolean
}

export interface BundleLock {
  /**
   * To be called just before a guest executes: from here on, whoever finds the lock and its process gone knows that the machine ended with it.
   * Durable when it resolves. Does nothing once the lock is released.
   * @param path where the lock file is now
   * @throws AppError `busy` where another has the bundle by now, or the system's reason
   */
  noteRunning(path: string): Promise<void>
  /** Idempotent. @param path where the lock file is now: the bundle may have been moved meanwhile */
  release(path: string): Promise<void>
}

/**
 * @param path of the lock file
 * @param what for the sentence: "“web-1”"
 * @throws AppError `busy` where a living process, or another computer, has it
 */
export async function lockBundle(path: string, what: string): Promise<BundleLock> {
  const me: LockOwner = { pid: process.pid, start: await ownStart(), host: hostname(), token: newId(), atRest: true }
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await create(path, JSON.stringify(me))) return heldLock(me, what)
    const found = await readFile(path, 'utf8').catch(() => null)
    if (found === null) continue
    const owner = parseOwner(found)
    if (!(await isStale(path, owner))) throw heldBy(owner, path, what)
    await takeAway(path, found)
    if (owner?.atRest === false) me.atRest = false
  }
  throw new AppError('busy', `${what} is being opened by another Coppice. Try again.`, { subject: path })
}

function heldLock(me: LockOwner, what: string): BundleLock {
  // A note that is being written must not come after the release: the file would stay.
  const turns = new Turns()
  let released = false
  return {
    noteRunning: (path) => turns.run(() => (released ? undefined : noteRunning(path, me, what))),
    release: (path) =>
      turns.run(() => {
        released = true
        return release(path, me.token)
      }),
  }
}

/**
 * Removes a lock whose process ended without releasing it.
 * @returns whether there was one by which a guest ran. One that cannot be read was not whole when its writer died: nothing ran by it.
 */
export async function removeStaleLock(path: string): Promise<boolean> {
  const found = await readFile(path, 'utf8').catch(() => null)
  if (found === null) return false
  const owner = parseOwner(found)
  if (!(await isStale(path, owner))) return false
  await takeAway(path, found)
  return owner?.atRest === false
}

/** Between the look and the rename nobody takes a lock whose process lives. One that is gone is made again. */
async function noteRunning(path: string, me: LockOwner, what: string): Promise<void> {
  const text = JSON.stringify({ ...me, atRest: false })
  const found = await readFile(path, 'utf8').catch(() => null)
  if (found === null && (await create(path, text))) return
  const owner = parseOwner(found ?? (await readFile(path, 'utf8').catch(() => '')))
  if (owner?.token !== me.token) throw heldBy(owner, path, what)
  if (owner.atRest) await writeFileAtomic(path, text)
}

/** Where links can be had, nobody sees the file before it is whole: one that was killed while it wrote it keeps nobody out. */
async function create(path: string, text: string): Promise<boolean> {
  const draft = temporaryFor(path)
  try {
    await writeFile(draft, text, { flag: 'wx', mode: 0o600 })
    await link(draft, path)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'EEXIST') return false
    if (NO_LINKS.includes(code)) return await createInPlace(path, text)
    throw asAppError(error, 'Locking the machine’s bundle')
  } finally {
    await unlink(draft).catch(() => {})
  }
}

async function createInPlace(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(text)
    } finally {
      await file.close()
    }
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    await unlink(path).catch(() => {})
    throw asAppError(error, 'Locking the machine’s bundle')
  }
}

/** Another host may have taken the lock over by mistake of ours; then it is not ours to remove. */
async function release(path: string, token: string): Promise<void> {
  const found = await readFile(path, 'utf8').catch(() => null)
  if (found !== null && parseOwner(found)?.token === token) await unlink(path).catch(() => {})
}

async function takeAway(path: string, judged: string): Promise<void> {
  const aside = `${path}.stale-${newId()}`
  try {
    await rename(path, aside)
  } catch {
    return // Somebody else was first.
  }
  const taken = await readFile(aside, 'utf8').catch(() => judged)
  // Not the one that was judged: a new owner came in between. Put it back, unless yet another is there.
  if (taken !== judged) await create(path, taken).catch(() => false)
  await unlink(aside).catch(() => {})
}

async function isStale(path: string, owner: LockOwner | null): Promise<boolean> {
  if (!owner) {
    const stats = await stat(path).catch(() => null)
    return stats === null || Date.now() - stats.mtimeMs > WRITING_TIME
  }
  if (owner.host !== hostname()) return false
  return !(await isSameProcess(owner.pid, owner.start))
}

function heldBy(owner: LockOwner | null, path: string, what: string): AppError {
  const where = owner && owner.host !== hostname() ? ` on the computer “${owner.host}”` : ''
  const who = owner ? ` (process ${owner.pid}${where})` : ''
  const advice = where === '' ? 'End it there first.' : `End it there first; if that computer is gone, delete the file “${path}”.`
  return new AppError('busy', `${what} is in use by another Coppice${who}. ${advice}`, { subject: path })
}

function parseOwner(text: string): LockOwner | null {
  try {
    const value = JSON.parse(text) as Partial<LockOwner> | null
    if (!value || !Number.isSafeInteger(value.pid) || (value.pid ?? 0) <= 0 || typeof value.host !== 'string') return null
    const word = (field: unknown, otherwise: string): string => (typeof field === 'string' ? field : otherwise)
    return {
      pid: value.pid!,
      host: value.host,
      start: word(value.start, UNKNOWN),
      token: word(value.token, ''),
      atRest: value.atRest === true,
    }
  } catch {
    return null
  }
}
