/**
 * The file that a machine's memory is kept in, of every engine: our header, then the engine's own state.
 *
 *   0   "COPPMEM1"                8 bytes
 *   8   length of the header      u32, little endian
 *   12  header, JSON              padded with spaces so that the state begins at a multiple of 8
 *   …   the engine's state        to the end of the file, or what it is put together from (pages/)
 *
 * A file is written beside its final name, made durable, then renamed: a crash leaves the old file or the new one. What a file says of itself
 * is checked before an engine sees a byte of it, because engines trust their states.
 */
import type { FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { MiB } from '../../src-shared/base/units.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { MemoryHeader } from '../../src-shared/threads/engine-thread.ts'
import { replaceFile } from './write-file-atomic.ts'

const MAGIC = 'COPPMEM1'
const FIXED = 12
const ALIGNMENT = 8
const MAX_HEADER = 64 * 1024
const CHUNK = 8 * MiB
/** 1: the state stands in the file. 2: a recipe for it does (pages/recipe.ts), and its pages lie in packs. */
const NEWEST_FORMAT = 2

/** What a header of every engine has beside its format. `engineVersion`: who wrote the state. */
export const memoryHeaderFields = {
  engineVersion: z.string(),
  machine: z.string(),
  memoryMiB: z.number(),
  savedAt: z.string(),
  stateCrc32: z.number(),
}

/** What a state must have been written for. */
export type StateOwner = Pick<MemoryHeader, 'machine' | 'memoryMiB'>

/** @param length of the whole, bytes; as short as can be where it is not given */
export function encodeHeader(header: object, length = 0): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const bytes = new Uint8Array(Math.max(length, Math.ceil((FIXED + json.length) / ALIGNMENT) * ALIGNMENT)).fill(0x20)
  bytes.set(new TextEncoder().encode(MAGIC))
  bytes.set(json, FIXED)
  new DataView(bytes.buffer).setUint32(MAGIC.length, bytes.length - FIXED, true)
  return bytes
}

/**
 * Writes a file whose state is put together from pages by `recipe`.
 * @returns what of it is told on
 * @throws the system's reason; an older file at the place stays then
 */
export async function writeMemoryFile(path: string, header: Omit<MemoryHeader, 'bytes'>, recipe: Uint8Array): Promise<MemoryHeader> {
  const head = encodeHeader(header)
  await replaceFile(path, async (file) => {
    await writeAll(file, head)
    await writeAll(file, recipe)
  })
  const { format, engine, engineVersion, machine, memoryMiB, savedAt } = header
  return { format, engine, engineVersion, machine, memoryMiB, savedAt, bytes: head.length + recipe.length }
}

/**
 * @returns the header, and where the state begins (bytes)
 * @throws AppError `corrupt`, `newer-version`
 */
export async function readHeader<S extends z.ZodType>(
  file: FileHandle,
  path: string,
  schema: S,
): Promise<{ header: z.output<S>; start: number }> {
  const { size } = await file.stat()
  const fixed = await readExactly(file, 0, Math.min(FIXED, size))
  const length = checkFixed(fixed, path)
  return { header: decodeHeader(await readExactly(file, FIXED, length), path, schema), start: FIXED + length }
}

/** @throws AppError saying why this state is not this machine's */
export function checkOwner(header: StateOwner, owner: StateOwner, path: string): void {
  if (header.machine !== owner.machine) throw refuseMemory(path, 'it belongs to another machine')
  if (header.memoryMiB !== owner.memoryMiB)
    throw refuseMemory(path, `the machine had ${header.memoryMiB} MiB of memory then and has ${owner.memoryMiB} MiB now`)
}

export function refuseMemory(path: string, why: string): AppError {
  return new AppError('unsupported', `The saved memory ${path} cannot be gone on from: ${why}. Discard it and start the machine anew.`, {
    subject: path,
  })
}

export function corruptMemory(path: string, why: string, cause?: unknown): AppError {
  return new AppError(
    'corrupt',
    `The saved memory ${path} is damaged: ${why}. Discard it and start the machine anew.`,
    { subject: path },
    cause,
  )
}

/** @param position of the first byte; null: after what was written last */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number | null = null): Promise<void> {
  for (let at = 0; at < bytes.length;)
    at += (await file.write(bytes, at, bytes.length - at, position === null ? null : position + at)).bytesWritten
}

export async function readExactly(file: FileHandle, position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(bytes, at, Math.min(CHUNK, length - at), position + at)
    if (bytesRead === 0)
      throw new AppError('corrupt', 'The saved memory of the machine ends too early. Discard it and start the machine anew.')
    at += bytesRead
  }
  return bytes
}

function checkFixed(fixed: Uint8Array<ArrayBuffer>, path: string): number {
  const magic = new TextDecoder('latin1').decode(fixed.subarray(0, MAGIC.length))
  if (fixed.length < FIXED || magic !== MAGIC) throw corruptMemory(path, 'it does not begin like one')
  const length = new DataView(fixed.buffer).getUint32(MAGIC.length, true)
  if (length > MAX_HEADER) throw corruptMemory(path, 'its header is too long')
  return length
}

function decodeHeader<S extends z.ZodType>(bytes: Uint8Array, path: string, schema: S): z.output<S> {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    throw corruptMemory(path, 'its header is not readable')
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  if (typeof (json as { format?: unknown } | null)?.format === 'number' && (json as { format: number }).format > NEWEST_FORMAT)
    throw new AppError('newer-version', `${path} was saved by a newer Coppice. Update Coppice, or discard the saved memory.`, {
      subject: path,
    })
  throw corruptMemory(path, 'its header is not valid')
}
