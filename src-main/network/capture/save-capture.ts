/** Captures as files: what is kept of the last while, or what comes from now on. */
import { link, lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { temporaryFor } from '../../files/write-file-atomic.ts'
import type { FrameStore } from './frame-store.ts'
import { mergeFrames } from './held-frames.ts'
import { enhancedPacket, interfaceDescription, interfaceStatistics, sectionHeader, type CaptureInterface } from './pcapng.ts'

export interface CapturedPort {
  store: FrameStore
  about: CaptureInterface
}

export interface CaptureOrder {
  /** Absolute; nothing is there yet. */
  path: string
  /** ms back, or ms from now on; one of the two. */
  last: number | null
  duration: number | null
  /** Of a whole network: each frame once, as it was sent. */
  onlySent: boolean
  /** What the file holds, for people who find it. */
  comment: string
}

/** ms between two looks for new frames: less than the smallest store takes to fill at a gigabit a second is not needed for what a guest sends. */
const LOOK_EVERY = 20
/** Bytes that are written at once. */
const BATCH = 256 * 1024
/** Frames that are looked at before others have their turn. */
const AT_ONCE = 5000

/**
 * Takes little memory beside what the stores keep.
 * @returns when the file is whole and on disk. A capture of what comes, aborted, ends there
 * @throws AppError `already-exists`, `cancelled` (of what is kept), or the system's reason; nothing is left then
 */
export async function saveCapture(
  ports: readonly CapturedPort[],
  { path, last, duration, onlySent, comment }: CaptureOrder,
  signal: AbortSignal,
): Promise<{ frames: number; bytes: number; path: string }> {
  const temporary = temporaryFor(path)
  // From the moment on at which it was asked for, however long the file takes to be made.
  const since = Date.now() - (last ?? 0)
  const next = ports.map(({ store }) => store.next)
  try {
    const file = await open(temporary, 'wx', 0o600)
    let written: { frames: number; bytes: number }
    try {
      const cursors = last === null ? next : ports.map(({ store }) => store.oldest)
      const writer = new CaptureWriter(file, ports, cursors, onlySent, comment)
      if (last !== null) await writer.writeNew(since, signal)
      else await record(writer, duration ?? 0, signal)
      written = await writer.end()
      await file.sync()
    } finally {
      await file.close()
    }
    await takeNewName(temporary, path)
    return { ...written, path }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new AppError('already-exists', `There is a file “${path}” already. Choose another name.`, { subject: path })
    // Nobody knows the file by the name that it has until it is whole.
    if ((error as NodeJS.ErrnoException).path === temporary) delete (error as NodeJS.ErrnoException).path
    throw asAppError(error, `Saving the capture “${path}”`)
  } finally {
    await unlink(temporary).catch(() => {})
  }
}

/** A link takes no name that is taken, where a rename would. Some file systems have no links. */
async function takeNewName(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code)) throw error
    if (await lstat(path).catch(() => null)) throw Object.assign(new Error(), { code: 'EEXIST' })
    await rename(temporary, path)
  }
}

async function record(writer: CaptureWriter, duration: number, signal: AbortSignal): Promise<void> {
  const end = performance.now() + duration
  while (!signal.aborted && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(LOOK_EVERY, end - performance.now())))
    await writer.writeNew()
  }
  // What came while that was written.
  await writer.writeNew()
}

class CaptureWriter {
  #file: FileHandle
  #ports: readonly CapturedPort[]
  #onlySent: boolean
  /** The number of each port's first frame that was not looked at. */
  #cursors: number[]
  #batch: Uint8Array[] = []
  #waiting = 0
  #frames = 0
  #bytes = 0
  #missed: number[]

  constructor(file: FileHandle, ports: readonly CapturedPort[], cursors: number[], onlySent: boolean, comment: string) {
    this.#onlySent = onlySent
    this.#file = file
    this.#ports = ports
    this.#cursors = cursors
    this.#missed = ports.map(() => 0)
    this.#put(sectionHeader('Coppice', comment))
    for (const { about } of ports) this.#put(interfaceDescription(about))
  }

  /**
   * What was kept since it was called last, in the order of its times, as it is now: frames that come meanwhile are for the next call.
   * @param since ms since 1970  @param signal throws `cancelled`
   */
  async writeNew(since = -Infinity, signal: AbortSignal | null = null): Promise<void> {
    const held = this.#ports.map(({ store }, index) => {
      const cursor = this.#cursors[index]!
      this.#missed[index]! += Math.max(0, store.oldest - cursor)
      this.#cursors[index] = store.next
      return store.hold(cursor, since)
    })
    let looked = 0
    try {
      for (const { from, frame } of mergeFrames(held)) {
        const { at, direction, bytes } = frame
        if (at >= since && (direction === 'out' || !this.#onlySent)) {
          this.#frames++
          this.#put(enhancedPacket(from, at, direction, bytes))
        }
        if (this.#waiting >= BATCH) await this.#flush()
        else if (++looked % AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve))
        else continue
        if (signal?.aborted) throw AppError.cancelled()
      }
    } finally {
      held.forEach((frames, index) => {
        this.#missed[index]! += frames.missed
        frames.dispose()
      })
    }
  }

  async end(): Promise<{ frames: number; bytes: number }> {
    this.#missed.forEach((missed, index) => this.#put(interfaceStatistics(index, Date.now(), missed)))
    await this.#flush()
    return { frames: this.#frames, bytes: this.#bytes }
  }

  #put(block: Uint8Array): void {
    this.#batch.push(block)
    this.#waiting += block.length
  }

  async #flush(): Promise<void> {
    const bytes = concatBytes(this.#batch)
    this.#batch = []
    this.#waiting = 0
    this.#bytes += bytes.length
    await this.#file.writeFile(bytes)
  }
}
