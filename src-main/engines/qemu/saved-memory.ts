/**
 * The memory of a QEMU machine in a file: a memory file (memory-file.ts) whose state is QEMU's migration stream. Theory of operation: QEMU's
 * sandbox forbids it to start programs, and it writes to no file of its own choice, so the stream goes through a socket and we
 * write it, with a checksum. To go on, a new QEMU that waits for memory reads the file itself, which it inherits open (on Windows it gets
 * the stream through a socket); one that does not match its devices it refuses itself, one that is damaged is found by its checksum, which we
 * compute meanwhile, before the guest runs.
 * Source: QEMU's docs/devel/migration and QMP reference (migrate, migrate-incoming, MIGRATION).
 */
import { once } from 'node:events'
import { open, rm, type FileHandle } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { GiB, KiB, MiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { MemoryHeader } from '../../../src-shared/threads/engine-thread.ts'
import { replaceFile } from '../../files/write-file-atomic.ts'
import { checkOwner, corruptMemory, encodeHeader, memoryHeaderFields, readHeader, refuseMemory, writeAll } from '../../files/memory-file.ts'
import type { Endpoint } from './arguments/runtime.ts'
import type { QmpClient } from './qmp/qmp-client.ts'
import { didNotStart } from './supervise/death.ts'
import { acceptOne, connectWhenReady, freePort, migrationUri } from './supervise/endpoint.ts'
import type { Instance } from './supervise/launch.ts'
import { INHERITED_FILE } from './supervise/qemu-process.ts'

/** Room for the header, which is written last. */
const HEADER_BYTES = 4 * KiB
const CHUNK = 1 * MiB
const MAX_STATE = 2048 * GiB
/** Bytes a second that QEMU may send: nobody waits for a network here. */
const NO_LIMIT = 1024 * GiB

const headerSchema = z.object({
  ...memoryHeaderFields,
  format: z.literal(1),
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

/** Lets the machine run while its memory, as it was at the beginning, is passed on (QEMU's docs/devel/migration; Linux' userfaultfd). */
const BACKGROUND = 'background-snapshot'

/**
 * Whether memory can be saved while the machine runs: the system must be able to, and this machine's memory must be of a kind for it.
 * QEMU says so when it is asked to.
 */
export async function canSaveInBackground({ qmp }: Pick<Instance, 'qmp'>): Promise<boolean> {
  const set = (state: boolean): Promise<void> =>
    qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: BACKGROUND, state }] })
  return set(true).then(
    () => set(false).then(() => true),
    () => false,
  )
}

/**
 * The machine stands still; it can go on afterwards, too. `background`: it runs as soon as QEMU can let it.
 * @throws AppError `no-space` and others; no file is left then, and an older one at `path` stays
 */
export async function saveMemory({ folder, qmp, record }: Instance, path: string, background = false): Promise<MemoryHeader> {
  const { spec } = record
  const stop = new AbortController()
  const watch = new MigrationWatch(qmp)
  try {
    let header: FileHeader | null = null
    await replaceFile(path, async (file) => {
      const { endpoint, peer } = await acceptOne(await migrationEndpoint(folder), stop.signal)
      await qmp.execute('migrate-set-capabilities', {
        capabilities: [
          { capability: 'events', state: true },
          { capability: BACKGROUND, state: background },
        ],
      })
      await qmp.execute('migrate-set-parameters', { 'max-bandwidth': NO_LIMIT })
      await qmp.execute('migrate', { uri: migrationUri(endpoint) }).catch((error: unknown) => {
        throw sharedFolderMounted(error) ?? error
      })
      const socket = await Promise.race([peer, watch.failed])
      let state: { bytes: number; crc: number }
      try {
        state = await receive(socket, file)
      } finally {
        socket.destroy()
      }
      await watch.completed
      header = {
        ...{ format: 1, engine: 'qemu', engineVersion: engineVersion(spec.qemu!.version) },
        ...{ accelerator: spec.qemu!.accelerator, machineType: spec.qemu!.machineType },
        ...{ machine: spec.id, memoryMiB: spec.memoryMiB, savedAt: new Date().toISOString() },
        ...{ stateBytes: state.bytes, stateCrc32: state.crc },
      }
      await writeAll(file, encodeHeader(header, HEADER_BYTES), 0)
    })
    const { format, engine, engineVersion: by, machine, memoryMiB, savedAt, stateBytes } = header!
    return { format, engine, engineVersion: by, machine, memoryMiB, savedAt, bytes: HEADER_BYTES + stateBytes }
  } catch (error) {
    // What it still sends has no receiver; it stays paused and can go on.
    await qmp.execute('migrate_cancel').catch(() => {})
    throw asAppError(error, 'Saving the memory of the machine')
  } finally {
    stop.abort()
    watch.dispose()
  }
}

/** A socket gives small pieces: CHUNK is written at once, and while it is, the next comes in. */
async function receive(socket: Socket, file: FileHandle): Promise<{ bytes: number; crc: number }> {
  let bytes = 0
  let crc = 0
  let pieces: Uint8Array[] = []
  let size = 0
  let writing = Promise.resolve()
  const write = async (): Promise<void> => {
    await writing
    writing = writeAll(file, Buffer.concat(pieces), HEADER_BYTES + bytes)
    // Seen by the next that waits for it.
    writing.catch(() => {})
    bytes += size
    pieces = []
    size = 0
  }
  for await (const piece of socket as AsyncIterable<Uint8Array>) {
    crc = crc32(piece, crc)
    pieces.push(piece)
    size += piece.length
    if (size >= CHUNK) await write()
  }
  await write()
  await writing
  return { bytes, crc }
}

/** What a state must fit to. */
type Owner = Pick<MachineSpec, 'id' | 'memoryMiB' | 'qemu'>

/** @throws AppError saying why this state cannot be gone on from, before anything is started for it */
export async function checkMemory(path: string, owner: Owner): Promise<void> {
  try {
    await using file = await open(path, 'r')
    await readChecked(file, path, owner)
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
  if (size !== start + header.stateBytes) throw corruptMemory(path, `it has ${size} bytes and should have ${start + header.stateBytes}`)
  return { header, start }
}

function series(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}

/**
 * Gives a QEMU that waits for memory (`-incoming defer`) what was saved; afterwards it stands still.
 * @throws AppError; the instance is of no use then
 */
export async function loadMemory({ folder, qmp, process, record }: Instance, path: string): Promise<void> {
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
    if (inheritsMemory()) {
      await qmp.execute('migrate-incoming', { uri: `fd:${INHERITED_FILE}` })
      crc = await readState(file, start)
    } else {
      const endpoint = await migrationEndpoint(folder)
      await qmp.execute('migrate-incoming', { uri: migrationUri(endpoint) })
      const socket = await Promise.race([connectWhenReady(endpoint, stop.signal), death])
      crc = await send(file, start, socket).finally(() => socket.end())
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
      const { start } = await readHeader(file, path, headerSchema)
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

/**
 * Reads the state from `start` on.
 * @returns the checksum of all
 */
async function readState(file: FileHandle, start: number, take?: (chunk: Uint8Array) => Promise<unknown>): Promise<number> {
  let crc = 0
  for (let at = start; ;) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, at)
    if (bytesRead === 0) return crc
    at += bytesRead
    const chunk = buffer.subarray(0, bytesRead)
    crc = crc32(chunk, crc)
    await take?.(chunk)
  }
}

/** @returns the checksum of all, also where QEMU hangs up */
async function send(file: FileHandle, start: number, socket: Socket): Promise<number> {
  let gone = false
  const closed = new Promise<void>((resolve) => {
    socket.on('error', () => {})
    socket.once('close', () => ((gone = true), resolve()))
  })
  return readState(file, start, async (chunk) => {
    if (!gone && !socket.write(chunk)) await Promise.race([once(socket, 'drain').catch(() => {}), closed])
  })
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
