/**
 * The memory state of a machine: a memory file (memory-file.ts) whose state is v86's own. Its checksum is verified before v86 sees a byte of it.
 */
import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { MiB } from '../../../src-shared/base/units.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MemoryHeader } from '../../../src-shared/threads/engine-thread.ts'
import { replaceFile } from '../../files/write-file-atomic.ts'
import {
  checkOwner,
  corruptMemory,
  encodeHeader,
  memoryHeaderFields,
  readExactly,
  readHeader,
  refuseMemory,
  writeAll,
} from '../memory-file.ts'

/** Guest memory, video memory, devices. */
const MAX_STATE = 2200 * MiB
const CHUNK = 8 * MiB

const headerSchema = z.object({
  ...memoryHeaderFields,
  engine: z.literal('embedded'),
  /** Of v86's state. */
  stateBytes: z.number().int().min(1).max(MAX_STATE),
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
  try {
    await replaceFile(path, async (file) => {
      await writeAll(file, head)
      for (let at = 0; at < bytes.length; at += CHUNK) await writeAll(file, bytes.subarray(at, at + CHUNK))
    })
  } catch (error) {
    throw asAppError(error, 'Saving the memory of the machine')
  }
  const { format, engine, engineVersion, machine, memoryMiB, savedAt } = header
  return { format, engine, engineVersion, machine, memoryMiB, savedAt, bytes: head.length + bytes.length }
}

/** @throws AppError saying why this state cannot be gone on from */
export async function readMemory(path: string, owner: StateOwner): Promise<LoadedState> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const { header, start } = await readHeader(file, path, headerSchema)
    checkOwner(header, owner, path)
    if (header.engineVersion !== owner.engineVersion)
      throw refuseMemory(path, `it was saved by ${header.engineVersion}, and this is ${owner.engineVersion}`)
    if (size !== start + header.stateBytes) throw corruptMemory(path, `it has ${size} bytes and should have ${start + header.stateBytes}`)
    const state = await readExactly(file, start, header.stateBytes)
    if (crc32(state) !== header.stateCrc32) throw corruptMemory(path, 'its checksum is wrong')
    return { state: state.buffer, clockMs: header.clockMs }
  } catch (error) {
    throw asAppError(error, 'Reading the saved memory of the machine')
  }
}
