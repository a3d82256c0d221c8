/**
 * The memory of a QEMU machine: a memory file (memory-file.ts) that puts QEMU's migration stream together from pages, which states of one machine share.
 * Theory of operation: QEMU's sandbox forbids it to start programs, and it writes to no file of its own choice, so the stream goes through a socket, and we
 * split and write it, with a checksum. To go on, a new QEMU that waits for memory gets the stream through a socket as well (files of earlier versions, which have
 * the stream itself, it inherits open where the system can); one that does not match its devices it refuses itself, one that is damaged is found by its
 * checksum, which we compute meanwhile, before the guest runs.
 * Source: QEMU's docs/devel/migration and QMP reference (migrate, migrate-incoming, MIGRATION).
 */
import { once } from 'node:events'
import { open, rm, type FileHandle } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { GiB, MiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { MemoryHeader, MemoryPlace } from '../../../src-shared/threads/engine-thread.ts'
import { checkOwner, corruptMemory, readExactly, readHeader, refuseMemory, writeMemoryFile } from '../../files/memory-file.ts'
import { checkPacks, memoryHeaderSchema } from '../../files/pages/memory-packs.ts'
import { readPages } from '../../files/pages/read-pages.ts'
import { PagesWriter } from '../../files/pages/write-pages.ts'
import type { Endpoint } from './arguments/runtime.ts'
import type { QmpClient } from './qmp/qmp-client.ts'
import { StreamSplitter } from './split-stream.ts'
import { didNotStart } from './supervise/death.ts'
import { acceptOne, connectWhenReady, freePort, migrationUri } from './supervise/endpoint.ts'
import type { Instance } from './supervise/launch.ts'
import { INHERITED_FILE } from './supervise/qemu-process.ts'

const CHUNK = 1 * MiB
/** Bytes of a state for a snapshot, which are taken before they are looked at: the guest stands still meanwhile. */
export const CAPTURED_AT_ONCE = 512 * MiB
const MAX_STATE = 2048 * GiB
/** Bytes a second that QEMU may send: nobody waits for a network here. */
const NO_LIMIT = 1024 * GiB

const headerSchema = memoryHeaderSchema({
  engine: z.literal('qemu'),
  accelerator: z.string(),
  machineType: z.string(),
  stateBytes: z.number().int().min(1).max(MAX_STATE),
})
type FileHeader = z.output<typeof headerSchema>

/** "QEMU 7.2.22" */
export function engineVersion(version: string): string {
  return `QEMU ${version}`
}

/** @throws AppError why no memory of this machine can be saved now */
export async function refuseBlocked({ qmp }: Pick<Instance, 'qmp'>): Promise<void> {
  const [reason] = (await qmp.execute('query-migrate'))['blocked-reasons'] ?? []
  if (reason === undefined) return
  const error = new AppError('wrong-state', `QEMU cannot save the memory of this machine now: ${reason}`)
  throw sharedFolderMounted(error) ?? error
}

export interface SavedMemory {
  /** Resolves when QEMU has passed on all: the machine can go on. Rejects as `kept` does. */
  readonly passed: Promise<void>
  /** Resolves when it is on disk. */
  readonly kept: Promise<MemoryHeader>
}

/**
 * The machine stands still until `passed`; it can go on afterwards, too. QEMU could let it run while its memory is passed on (background-snapshot): one whose
 * receiver dies meanwhile then hangs for ever (7.2: nobody answers its page faults any more), and machines must outlive their host.
 * @param most bytes that are taken before they are looked at
 * @throws AppError, by the promises: `no-space` and others; no file is left then, and an older one at the place stays
 */
export function saveMemory(instance: Instance, place: MemoryPlace, most = CHUNK): SavedMemory {
  const { promise, resolve } = Promise.withResolvers<void>()
  const kept = passOn(instance, place, most, resolve)
  const passed = Promise.race([promise, kept.then(() => {})])
  // Who waits for either is told.
  kept.catch(() => {})
  passed.catch(() => {})
  return { passed, kept }
}

async function passOn({ folder, qmp, record }: Instance, place: MemoryPlace, most: number, passed: () => void): Promise<MemoryHeader> {
  const { spec } = record
  const stop = new AbortController()
  const watch = new MigrationWatch(qmp)
  let pages: PagesWriter | null = null
  try {
    pages = await PagesWriter.open(place.pages)
    const { endpoint, peer } = await acceptOne(await migrationEndpoint(folder), stop.signal)
    await qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] })
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': NO_LIMIT })
    await qmp.execute('migrate', { uri: migrationUri(endpoint) }).catch((error: unknown) => {
      throw sharedFolderMounted(error) ?? error
    })
    const socket = await Promise.race([peer, watch.failed])
    const stream = new StreamKeeper(pages)
    try {
      await stream.receive(socket, most)
    } finally {
      socket.destroy()
    }
    await watch.completed
    passed()
    const state = await stream.end()
    const { packs, recipe } = await pages.finish()
    const header: FileHeader = {
      ...{ format: 2, engine: 'qemu', engineVersion: engineVersion(spec.qemu!.version) },
      ...{ accelerator: spec.qemu!.accelerator, machineType: spec.qemu!.machineType },
      ...{ machine: spec.id, memoryMiB: spec.memoryMiB, savedAt: new Date().toISOString() },
      ...{ stateBytes: state.bytes, stateCrc32: state.crc, packs },
    }
    return await writeMemoryFile(place.path, header, recipe)
  } catch (error) {
    // What it still sends has no receiver; it stays paused and can go on.
    await qmp.execute('migrate_cancel').catch(() => {})
    await pages?.abandon()
    throw asAppError(error, 'Saving the memory of the machine')
  } finally {
    await pages?.close()
    stop.abort()
    watch.dispose()
  }
}

/** Takes the stream, and looks through it when there is time. */
class StreamKeeper {
  #splitter: StreamSplitter
  #pieces: Buffer[] = []
  #bytes = 0
  #crc = 0

  constructor(pages: PagesWriter) {
    this.#splitter = new StreamSplitter(pages)
  }

  /** @param most bytes that may wait to be looked at */
  async receive(socket: Socket, most: number): Promise<void> {
    let waiting = 0
    for await (const piece of socket as AsyncIterable<Buffer>) {
      this.#pieces.push(piece)
      waiting += piece.length
      if (waiting < most) continue
      await this.#look()
      waiting = 0
    }
  }

  /** @returns of all that came */
  async end(): Promise<{ bytes: number; crc: number }> {
    await this.#look()
    await this.#splitter.end()
    return { bytes: this.#bytes, crc: this.#crc }
  }

  async #look(): Promise<void> {
    const pieces = this.#pieces
    this.#pieces = []
    for (const piece of pieces) {
      this.#crc = crc32(piece, this.#crc)
      this.#bytes += piece.length
      await this.#splitter.push(piece)
    }
  }
}

/** What a state must fit to. */
type Owner = Pick<MachineSpec, 'id' | 'memoryMiB' | 'qemu'>

/** @throws AppError saying why this state cannot be gone on from, before anything is started for it */
export async function checkMemory({ path, pages }: MemoryPlace, owner: Owner): Promise<void> {
  try {
    await using file = await open(path, 'r')
    const { header } = await readChecked(file, path, owner)
    if (header.format === 2) await checkPacks(pages, header.packs)
  } catch (error) {
    throw asAppError(error, 'Reading the saved memory of the machine')
  }
}

async function readChecked(file: FileHandle, path: string, { id, memoryMiB, qemu }: Owner): Promise<{ header: FileHeader; start: number }> {
  const { header, start } = await readHeader(file, path, headerSchema)
  checkOwner(header, { machine: id, memoryMiB }, path)
  const now = engineVersion(qemu!.version)
  // Machine types change with QEMU's minor version, and keep their meaning over its patches.
  if (series(header.engineVersion) !== series(now)) throw refuseMemory(path, `it was saved by ${header.engineVersion}, and this is ${now}`)
  if (header.accelerator !== qemu!.accelerator || header.machineType !== qemu!.machineType)
    throw refuseMemory(
      path,
      `it was saved on ${header.machineType} with ${header.accelerator}, and the machine now is ${qemu!.machineType} with ${qemu!.accelerator}`,
    )
  const { size } = await file.stat()
  if (header.format === 1 && size !== start + header.stateBytes)
    throw corruptMemory(path, `it has ${size} bytes and should have ${start + header.stateBytes}`)
  return { header, start }
}

function series(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}

/**
 * Gives a QEMU that waits for memory (`-incoming defer`) what was saved; afterwards it stands still.
 * @throws AppError; the instance is of no use then
 */
export async function loadMemory({ folder, qmp, process, record }: Instance, { path, pages }: MemoryPlace): Promise<void> {
  const stop = new AbortController()
  const watch = new MigrationWatch(qmp)
  const death = process.ended.then((end) => {
    throw didNotStart(end)
  })
  death.catch(() => {})
  try {
    await using file = await open(path, 'r')
    const { header, start } = await readChecked(file, path, record.spec)
    await qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] })
    let crc: number
    if (header.format === 1 && inheritsMemory()) {
      await qmp.execute('migrate-incoming', { uri: `fd:${INHERITED_FILE}` })
      crc = await checksum(piecesOf(file, start))
    } else {
      const endpoint = await migrationEndpoint(folder)
      await qmp.execute('migrate-incoming', { uri: migrationUri(endpoint) })
      const socket = await Promise.race([connectWhenReady(endpoint, stop.signal), death])
      const { size } = await file.stat()
      const pieces =
        header.format === 1
          ? piecesOf(file, start)
          : readPages({ path, folder: pages, packs: header.packs, recipe: await readExactly(file, start, size - start) })
      crc = await checksum(pieces, sender(socket)).finally(() => socket.end())
    }
    if (crc !== header.stateCrc32) throw corruptMemory(path, 'its checksum is wrong')
    await Promise.race([watch.completed, death]).catch((error: unknown) => {
      throw corruptMemory(path, 'QEMU cannot read it', error)
    })
  } catch (error) {
    throw asAppError(error, 'Reading the saved memory of the machine')
  } finally {
    stop.abort()
    watch.dispose()
  }
}

/** Windows lets no program inherit a file by its number. */
function inheritsMemory(): boolean {
  return process.platform !== 'win32'
}

/**
 * The file for a QEMU to inherit as INHERITED_FILE: what it reads first is the state. Null where it gets it through a socket. Close it when QEMU has it.
 * @throws AppError where it cannot be read
 */
export async function openForQemu(path: string): Promise<FileHandle | null> {
  if (!inheritsMemory()) return null
  try {
    const file = await open(path, 'r')
    try {
      const { header, start } = await readHeader(file, path, headerSchema)
      if (header.format === 2) {
        await file.close()
        return null
      }
      // Reading without a position moves the one that QEMU inherits.
      for (let at = 0; at < start;) {
        const { bytesRead } = await file.read(new Uint8Array(start - at), 0, start - at, null)
        if (bytesRead === 0) throw corruptMemory(path, 'it ends within its header')
        at += bytesRead
      }
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  } catch (error) {
    throw asAppError(error, 'Reading the saved memory of the machine')
  }
}

/** The state that stands in the file itself. */
async function* piecesOf(file: FileHandle, start: number): AsyncGenerator<Uint8Array> {
  for (let at = start; ;) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** @returns of all pieces, which `take` gets one after the other */
async function checksum(pieces: AsyncGenerator<Uint8Array>, take?: (piece: Uint8Array) => Promise<unknown>): Promise<number> {
  let crc = 0
  for await (const piece of pieces) {
    crc = crc32(piece, crc)
    await take?.(piece)
  }
  return crc
}

/** @returns what sends a piece, and does nothing any more where QEMU has hung up; a piece must not change afterwards */
function sender(socket: Socket): (piece: Uint8Array) => Promise<void> {
  let gone = false
  const closed = new Promise<void>((resolve) => {
    socket.on('error', () => {})
    socket.once('close', () => ((gone = true), resolve()))
  })
  return async (piece) => {
    if (!gone && !socket.write(piece)) await Promise.race([once(socket, 'drain').catch(() => {}), closed])
  }
}

/** In the machine's private folder; on Windows a port of the loopback, which takes one peer. */
async function migrationEndpoint(folder: string): Promise<Endpoint> {
  if (process.platform === 'win32') return { kind: 'inet', port: await freePort() }
  const path = join(folder, 'memory')
  // A host that was killed meanwhile leaves its socket.
  await rm(path, { force: true })
  return { kind: 'unix', path }
}

/** Follows a migration by QEMU's events. */
class MigrationWatch {
  /** Rejects when QEMU gave up, with its reason; resolves when all is sent or read. */
  readonly completed: Promise<void>
  /** The same, and never resolves. */
  readonly failed: Promise<never>
  #dispose: () => void

  constructor(qmp: QmpClient) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.completed = promise
    this.failed = new Promise((_, fail) => void promise.catch(fail))
    promise.catch(() => {})
    this.failed.catch(() => {})
    const events = qmp.onEvent(({ name, data }) => {
      if (name !== 'MIGRATION') return
      if (data['status'] === 'completed') resolve()
      if (data['status'] === 'failed' || data['status'] === 'cancelled')
        void qmp.execute('query-migrate').then(
          (info) => reject(gaveUp(info['error-desc'])),
          () => reject(gaveUp(undefined)),
        )
    })
    const closed = qmp.onClose(() => reject(new AppError('disconnected', 'QEMU ended while its memory was saved or read.')))
    this.#dispose = () => {
      events.dispose()
      closed.dispose()
    }
  }

  dispose(): void {
    this.#dispose()
  }
}

function gaveUp(why: string | undefined): AppError {
  return new AppError('io', `QEMU could not pass on the machine’s memory${why === undefined ? '' : `: ${why.replace(/\.$/, '')}`}.`)
}

/** QEMU keeps no memory of a 9p device that a guest uses. Null where that is not the reason. */
function sharedFolderMounted(error: unknown): AppError | null {
  const tag = /VirtFS export path.* mount_tag '([^']*)'/.exec(error instanceof Error ? error.message : '')?.[1]
  if (tag === undefined) return null
  return new AppError(
    'wrong-state',
    `The guest has the shared folder “${tag}” mounted, and QEMU cannot suspend it so. The agent of a guest that runs (not of one that is paused) unmounts it, where it may run programs; without one, unmount it in the guest (umount /mnt/${tag}), or shut the machine down.`,
    { subject: tag },
    error,
  )
}
