/**
 * The memory state of a machine: our header, then v86's own state.
 *
 *   0   "COPPMEM1"                8 bytes
 *   8   length of the header      u32, little endian
 *   12  header, JSON              padded with spaces so that the state begins at a multiple of 8
 *   …   v86's state               to the end of the file
 *
 * A file is written beside its final name, made durable, then renamed: a crash leaves the old file or the new one. What a file says of itself
 * is checked before v86 sees a byte of it, because v86 trusts its states.
 */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MemoryHeader } from '../../../src-shared/threads/engine-thread.ts'

const MAGIC = 'COPPMEM1'
const FIXED = 12
const ALIGNMENT = 8
const MAX_HEADER = 64 * 1024
/** Guest memory, video memory, devices. */
const MAX_STATE = 2200 * MiB
const CHUNK = 8 * MiB

const headerSchema = z.object({
  format: z.literal(1),
  engine: z.literal('embedded'),
  engineVersion: z.string(),
  machine: z.string(),
  memoryMiB: z.number(),
  savedAt: z.string(),
  /** Of v86's state. */
  stateBytes: z.number().int().min(1).max(MAX_STATE),
  stateCrc32: z.number(),
  /** v86's clock when it was saved, ms: it must not run backwards. */
  clockMs: z.number(),
})
type FileHeader = z.output<typeof headerSchema>

/** What a state must have been written by and for. */
export type StateOwner = Pick<MemoryHeader, 'engineVersion' | 'machine' | 'memoryMiB'>

export interface LoadedState {
  state: ArrayBuffer
  clockMs: number
}

/** @throws AppError `no-space` and others; no file is left then, and an older one at `path` stays */
export async function writeMemory(path: string, owner: StateOwner, state: ArrayBuffer, clockMs: number): Promise<MemoryHeader> {
  const bytes = new Uint8Array(state)
  const header: FileHeader = {
    format: 1,
    engine: 'embedded',
    ...owner,
    savedAt: new Date().toISOString(),
    stateBytes: bytes.length,
    stateCrc32: crc32(bytes),
    clockMs,
  }
  const head = encodeHeader(header)
  const partial = `${path}.partial`
  try {
    const file = await open(partial, 'w', 0o600)
    try {
      await writeAll(file, head)
      for (let at = 0; at < bytes.length; at += CHUNK) await writeAll(file, bytes.subarray(at, at + CHUNK))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(partial, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(partial, { force: true })
    throw asAppError(error, 'Saving the memory of the machine')
  }
  const { format, engine, engineVersion, machine, memoryMiB, savedAt } = header
  return { format, engine, engineVersion, machine, memoryMiB, savedAt, bytes: head.length + bytes.length }
}

/** @throws AppError saying why this state cannot be gone on from */
export async function readMemory(path: string, owner: StateOwner): Promise<LoadedState> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      const fixed = await readExactly(file, 0, Math.min(FIXED, size))
      const headerLength = checkFixed(fixed, path)
      const header = decodeHeader(await readExactly(file, FIXED, headerLength), path)
      checkOwner(header, owner, path)
      const start = FIXED + headerLength
      if (size !== start + header.stateBytes) throw corrupt(path, `it has ${size} bytes and should have ${start + header.stateBytes}`)
      const state = await readExactly(file, start, header.stateBytes)
      if (crc32(state) !== header.stateCrc32) throw corrupt(path, 'its checksum is wrong')
      return { state: state.buffer, clockMs: header.clockMs }
    } finally {
      await file.close()
    }
  } catch (error) {
    throw asAppError(error, 'Reading the saved memory of the machine')
  }
}

export function encodeHeader(header: object): Uint8Array<ArrayBuffer> {
  const json = JSON.stringify(header)
  const text = json.padEnd(Math.ceil((FIXED + json.length) / ALIGNMENT) * ALIGNMENT - FIXED)
  const bytes = new TextEncoder().encode(MAGIC + '\0\0\0\0' + text)
  new DataView(bytes.buffer).setUint32(MAGIC.length, bytes.length - FIXED, true)
  return bytes
}

function checkFixed(fixed: Uint8Array<ArrayBuffer>, path: string): number {
  const magic = new TextDecoder('latin1').decode(fixed.subarray(0, MAGIC.length))
  if (fixed.length < FIXED || magic !== MAGIC) throw corrupt(path, 'it does not begin like one')
  const length = new DataView(fixed.buffer).getUint32(MAGIC.length, true)
  if (length > MAX_HEADER) throw corrupt(path, 'its header is too long')
  return length
}

function decodeHeader(bytes: Uint8Array, path: string): FileHeader {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    throw corrupt(path, 'its header is not readable')
  }
  const parsed = headerSchema.safeParse(json)
  if (parsed.success) return parsed.data
  if (typeof (json as { format?: unknown } | null)?.format === 'number' && (json as { format: number }).format > 1)
    throw new AppError('newer-version', `${path} was saved by a newer Coppice. Update Coppice, or discard the saved memory.`, {
      subject: path,
    })
  throw corrupt(path, 'its header is not valid')
}

function checkOwner(header: FileHeader, owner: StateOwner, path: string): void {
  const refuse = (why: string): AppError =>
    new AppError('unsupported', `The saved memory ${path} cannot be gone on from: ${why}. Discard it and start the machine anew.`, {
      subject: path,
    })
  if (header.machine !== owner.machine) throw refuse('it belongs to another machine')
  if (header.memoryMiB !== owner.memoryMiB)
    throw refuse(`the machine had ${header.memoryMiB} MiB of memory then and has ${owner.memoryMiB} MiB now`)
  if (header.engineVersion !== owner.engineVersion)
    throw refuse(`it was saved by ${header.engineVersion}, and this is ${owner.engineVersion}`)
}

function corrupt(path: string, why: string): AppError {
  return new AppError('corrupt', `The saved memory ${path} is damaged: ${why}. Discard it and start the machine anew.`, { subject: path })
}

type FileHandle = Awaited<ReturnType<typeof open>>

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at, bytes.length - at)).bytesWritten
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(bytes, at, Math.min(CHUNK, length - at), position + at)
    if (bytesRead === 0)
      throw new AppError('corrupt', 'The saved memory of the machine ends too early. Discard it and start the machine anew.')
    at += bytesRead
  }
  return bytes
}

/** So that the new name survives a crash (POSIX; Windows has no such call and needs none). */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
