/**
 * Exactly one host per library, and how others find it.
 *
 * Theory of operation. A host first listens on a socket of its own, never used before and never again, and then claims the library by making
 * `host-<n>.json`, n one above the highest there is, with link(2): that either makes the complete file or fails because somebody else made that
 * number first. The file names the socket. The highest number counts; whether its host lives is asked by connecting. From this follows:
 * - A claim is never seen before its socket answers, and a socket that does not answer will never answer again. So "dead" is final and a claim
 *   that was found dead may be overtaken at leisure: of all that try the same next number one wins.
 * - The highest file is never removed, only overtaken and then removed by the winner. A slow starter that makes a number which is no longer
 *   the highest sees the higher one when it looks again, and steps back.
 * The files lie in the user's runtime folder, which is another one where the environment says so (a shell of cron, another XDG_RUNTIME_DIR). So the library itself names the
 * folder in which it was claimed last (`.host`), and whoever comes looks there, too. A library that cannot be written, or is copied to another computer, names none that is
 * believed: the folder must be this user's and for this library.
 * Nothing depends on process ids (they are used again) or on locks (they outlive their holders). A host that ends marks its claim as
 * closed, so that nobody has to try its socket. One that has begun to end, and still has machines to suspend, marks it as ending: whoever comes then
 * waits for the end, because what it would ask for is going.
 */
import { randomBytes } from 'node:crypto'
import { watch, type FSWatcher } from 'node:fs'
import { access, chmod, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, nextValue, type Event } from '../../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { RpcServer } from '../../../src-shared/rpc/server.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { readLimited } from '../../host/files/read-json.ts'
import { isPrivate } from '../../process/private-folder.ts'
import { version } from '../paths.ts'
import { runtimeFolderFor } from './runtime-folder.ts'
import { socketWire } from './socket-wire.ts'

/** A live host answers a connection at once, even when it is busy: the system does it. */
const CONNECT_LIMIT_MS = 3000
const MAX_CLAIM_FILE = 64 * 1024
/** In the library: the folder of its newest claim. */
const NAMED_IN = '.host'
/** ms for which a host that ends is waited for: many machines with much memory, on a slow disk. */
const ENDING_LIMIT_MS = 10 * 60_000

const recordSchema = z.object({
  ...{ pid: z.number().int(), version: z.string(), started: z.string(), socket: z.string().nullable() },
  ending: z.boolean().default(false),
})
/** What `host-<n>.json` holds. `socket` is null when the host has ended; `ending`: it has begun to. */
export type HostRecord = z.output<typeof recordSchema>

export interface Claim {
  readonly record: HostRecord
  /** Serves the connections that wait and all that come. Call it once. */
  serve(server: RpcServer): void
  /** Connections that are open now. */
  readonly clients: number
  readonly onClientsChanged: Event<number>
  /** The socket was removed by somebody: nobody can reach this host any more. (A login's runtime folder ends with the login.) */
  readonly onLost: Event<void>
  /** Tells others that this host has begun to end, or that it stays after all. */
  setEnding(ending: boolean): Promise<void>
  /** Closes all connections and gives the library free. Idempotent. */
  close(): Promise<void>
}

/**
 * Claims `library` for this process. Do it before opening the library. Waits for a host that has begun to end.
 * @param waiting called with a sentence when it waits
 * @throws AppError `already-exists` where a host has it (its pid in the sentence), `timeout` where one does not come to its end, or as
 *   runtimeFolderFor
 */
export async function claimLibrary(library: string, waiting?: Waiting): Promise<Claim> {
  const [folder, ...elsewhere] = await claimFolders(library)
  const door = await openDoor(folder)
  const record: HostRecord = { pid: process.pid, version, started: new Date().toISOString(), socket: door.path, ending: false }
  try {
    for (const other of elsewhere) {
      await whenEnded(other, waiting)
      await refuseLiving(library, await findRecord(other))
    }
    for (;;) {
      await whenEnded(folder, waiting)
      const held = await findRecord(folder)
      await refuseLiving(library, held)
      const n = (held?.n ?? 0) + 1
      if (!(await publish(folder, n, record))) continue
      const numbers = await listClaims(folder)
      if (numbers.some((other) => other > n)) {
        await rm(claimPath(folder, n), { force: true })
        continue
      }
      for (const old of numbers) if (old < n) await removeClaim(folder, old)
      await nameFolder(library, folder)
      return new HeldClaim(folder, n, record, door)
    }
  } catch (error) {
    door.close()
    throw asAppError(error, 'Claiming the library')
  }
}

/** Whoever hosts `library` now, by its claim and its answering socket; null where nobody does. */
export async function findHost(library: string): Promise<(HostRecord & { socket: string }) | null> {
  for (const folder of await claimFolders(library)) {
    const held = await findRecord(folder)
    if (held && held.record.socket !== null && (await isAlive(held.record))) return { ...held.record, socket: held.record.socket }
  }
  return null
}

/** @throws AppError `already-exists` where the claim's host lives */
async function refuseLiving(library: string, held: { record: HostRecord } | null): Promise<void> {
  if (!held || !(await isAlive(held.record))) return
  throw new AppError('already-exists', `Coppice already runs for the library ${library} (process ${held.record.pid}).`, {
    subject: library,
  })
}

/** Where claims of the library may be: in this environment's folder, and in the one that the library names, where that is another. */
async function claimFolders(library: string): Promise<[here: string, ...elsewhere: string[]]> {
  const here = await runtimeFolderFor(library)
  const named = await readLimited(join(library, NAMED_IN), MAX_CLAIM_FILE).catch(() => new Uint8Array())
  const folder = Buffer.from(named).toString().trim()
  const isElsewhere = isAbsolute(folder) && folder !== here && basename(folder) === basename(here) && (await isPrivate(folder))
  return isElsewhere ? [here, folder] : [here]
}

async function nameFolder(library: string, folder: string): Promise<void> {
  try {
    // Not all that leads there: making a library is for who opens it.
    await mkdir(library).catch(() => {})
    await writeFileAtomic(join(library, NAMED_IN), `${folder}\n`)
  } catch {
    // Opening the library says what is wrong with it.
  }
}

/** Shows somebody why it takes long. */
export type Waiting = (sentence: string) => void

/**
 * Resolves when no host of `library` is ending: at once, when the one that does is gone, or when it stays after all.
 * @throws AppError `timeout`
 */
export async function whenNoneEnds(library: string, waiting?: Waiting): Promise<void> {
  for (const folder of await claimFolders(library)) await whenEnded(folder, waiting)
}

async function whenEnded(folder: string, waiting?: Waiting): Promise<void> {
  const first = await findEnding(folder)
  if (!first) return
  waiting?.(`Coppice (process ${first.pid}) is ending, and suspends its machines first. Waiting for it.`)
  const limit = AbortSignal.timeout(ENDING_LIMIT_MS)
  const store = new DisposableStore()
  try {
    const changed = new Emitter<void>()
    const watcher = watch(folder, { persistent: false }, () => changed.fire())
    watcher.on('error', () => changed.fire())
    store.defer(() => watcher.close())
    // One that is killed changes no file; the end of a connection to it shows its end.
    const socket = connect(first.socket)
    for (const event of ['close', 'error']) socket.on(event, () => changed.fire())
    store.defer(() => socket.destroy())
    for (;;) {
      const change = nextValue(changed.event, () => true, limit)
      change.catch(() => {})
      if (!(await findEnding(folder))) return
      await change
    }
  } catch (error) {
    if (!limit.aborted) throw error
    const text = `Coppice (process ${first.pid}) does not come to its end. End that process, then try again.`
    throw new AppError('timeout', text, {}, error)
  } finally {
    store.dispose()
  }
}

async function findEnding(folder: string): Promise<(HostRecord & { socket: string }) | null> {
  const held = await findRecord(folder)
  if (!held?.record.ending || held.record.socket === null || !(await isAlive(held.record))) return null
  return { ...held.record, socket: held.record.socket }
}

class HeldClaim implements Claim {
  readonly record: HostRecord
  #folder: string
  #n: number
  #door: Door
  #rpc: RpcServer | null = null
  #served = new Map<Socket, Disposable>()
  #onClientsChanged = new Emitter<number>()
  #onLost = new Emitter<void>()
  #watcher: FSWatcher
  #closing: Promise<void> | null = null
  #noting: Promise<void> = Promise.resolve()

  readonly onClientsChanged = this.#onClientsChanged.event
  readonly onLost = this.#onLost.event

  constructor(folder: string, n: number, record: HostRecord, door: Door) {
    this.#folder = folder
    this.#n = n
    this.record = record
    this.#door = door
    this.#watcher = watch(folder, { persistent: false }, (kind) => {
      if (kind === 'rename') void this.#lookForSocket()
    })
    this.#watcher.on('error', () => void this.#lookForSocket())
  }

  get clients(): number {
    return this.#served.size
  }

  serve(rpc: RpcServer): void {
    this.#rpc = rpc
    for (const socket of this.#door.waiting.splice(0)) this.#attach(socket)
    this.#door.onSocket = (socket) => this.#attach(socket)
  }

  #attach(socket: Socket): void {
    if (socket.destroyed || this.#closing || !this.#rpc) {
      socket.destroy()
      return
    }
    this.#served.set(socket, this.#rpc.attach(socketWire(socket), { kind: 'cli' }))
    socket.once('close', () => {
      this.#served.get(socket)?.dispose()
      this.#served.delete(socket)
      this.#onClientsChanged.fire(this.#served.size)
    })
    this.#onClientsChanged.fire(this.#served.size)
  }

  async #lookForSocket(): Promise<void> {
    if (process.platform === 'win32' || this.#closing) return
    const found = await access(this.#door.path).then(
      () => true,
      () => false,
    )
    if (!found && !this.#closing) this.#onLost.fire()
  }

  async setEnding(ending: boolean): Promise<void> {
    if (this.#closing) return
    await this.#note({ ...this.record, ending })
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#watcher.close()
    await this.#note({ ...this.record, socket: null })
    this.#door.close()
    for (const connection of [...this.#served.values()]) connection.dispose()
    this.#onClientsChanged.dispose()
    this.#onLost.dispose()
  }

  /** One after the other. */
  #note(record: HostRecord): Promise<void> {
    this.#noting = this.#noting
      .then(() => replace(this.#folder, this.#n, record))
      .catch(() => {
        // The folder is gone: nobody can find the claim any more.
      })
    return this.#noting
  }
}

/** A listening socket with a name of its own. Who knocks before `onSocket` is set waits, with what it says unread. */
interface Door {
  readonly path: string
  readonly waiting: Socket[]
  onSocket: (socket: Socket) => void
  close(): void
}

async function openDoor(folder: string): Promise<Door> {
  const name = `host-${randomBytes(4).toString('hex')}`
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\coppice-${randomBytes(16).toString('hex')}` : join(folder, `${name}.sock`)
  const waiting: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {}) // its 'close' follows, and that is what counts
    door.onSocket(socket)
  })
  const door: Door = {
    path,
    waiting,
    onSocket: (socket) => waiting.push(socket),
    // Removes the socket's file too.
    close: () => {
      server.close()
      for (const socket of waiting.splice(0)) socket.destroy()
    },
  }
  await new Promise<void>((resolve, reject) => {
    // Later ones are of connections that the system could not take: the others go on.
    server.on('error', reject)
    server.listen(path, resolve)
  })
  if (process.platform !== 'win32') await chmod(path, 0o600)
  return door
}

function claimPath(folder: string, n: number): string {
  return join(folder, `host-${n}.json`)
}

/** Numbers of all claims, ascending. */
async function listClaims(folder: string): Promise<number[]> {
  const numbers = (await readdir(folder)).map((name) => Number(/^host-([1-9]\d{0,14})\.json$/.exec(name)?.[1]))
  return numbers.filter((n) => !Number.isNaN(n)).sort((a, b) => a - b)
}

/** The claim that counts. One that cannot be read (a power cut before it was on disk) counts as closed. */
async function findRecord(folder: string): Promise<{ n: number; record: HostRecord } | null> {
  for (;;) {
    const n = (await listClaims(folder)).at(-1)
    if (n === undefined) return null
    const record = await readRecord(folder, n)
    if (record === 'gone') continue // overtaken just now
    return { n, record }
  }
}

async function readRecord(folder: string, n: number): Promise<HostRecord | 'gone'> {
  try {
    const text = await readFile(claimPath(folder, n), 'utf8')
    return recordSchema.parse(JSON.parse(text.slice(0, MAX_CLAIM_FILE)))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone'
    return { pid: 0, version: '', started: '', socket: null, ending: false }
  }
}

/** Makes claim `n`, complete at once. False where it exists already. */
async function publish(folder: string, n: number, record: HostRecord): Promise<boolean> {
  const draft = await writeDraft(folder, record)
  try {
    await link(draft, claimPath(folder, n))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function replace(folder: string, n: number, record: HostRecord): Promise<void> {
  await rename(await writeDraft(folder, record), claimPath(folder, n))
}

async function writeDraft(folder: string, record: HostRecord): Promise<string> {
  const draft = join(folder, `draft-${randomBytes(8).toString('hex')}`)
  await writeFile(draft, `${JSON.stringify(record)}\n`, { mode: 0o600, flag: 'wx' })
  return draft
}

/** An overtaken claim and the socket that its dead host left. */
async function removeClaim(folder: string, n: number): Promise<void> {
  const record = await readRecord(folder, n)
  if (record !== 'gone' && record.socket !== null && dirname(record.socket) === folder) await rm(record.socket, { force: true })
  await rm(claimPath(folder, n), { force: true })
}

/** True unless the system says that nobody listens: a host too busy to take the connection is alive. */
function isAlive(record: HostRecord): Promise<boolean> {
  const { socket: path } = record
  if (path === null) return Promise.resolve(false)
  return new Promise((resolve) => {
    const socket = connect(path)
    const done = (alive: boolean): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.setTimeout(CONNECT_LIMIT_MS, () => done(true))
    socket.once('connect', () => done(true))
    socket.once('error', (error: NodeJS.ErrnoException) => done(!DEAD.has(error.code ?? '')))
  })
}

/** ENOTSOCK, ENOTDIR: something else stands there now. */
const DEAD = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR'])
