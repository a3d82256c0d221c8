/**
 * The memory state of a machine: a memory file (memory-file.ts) that puts v86's own state together from pages, which states of one machine share. Its
 * checksum is verified before v86 sees a byte of it.
 */
import { open } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { MiB } from '../../../src-shared/base/units.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MemoryHeader, MemoryPlace } from '../../../src-shared/threads/engine-thread.ts'
import { checkOwner, corruptMemory, readExactly, readHeader, refuseMemory, writeMemoryFile } from '../../files/memory-file.ts'
import { memoryHeaderSchema } from '../../files/pages/memory-packs.ts'
import { PAGE } from '../../files/pages/pack.ts'
import { readPages } from '../../files/pages/read-pages.ts'
import { PagesWriter } from '../../files/pages/write-pages.ts'

/** Guest memory, video memory, devices. */
const MAX_STATE = 2200 * MiB

const headerSchema = memoryHeaderSchema({
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

/** @throws AppError `no-space` and others; no file is left then, and an older one at the place stays */
export async function writeMemory(place: MemoryPlace, owner: StateOwner, state: ArrayBuffer, clockMs: number): Promise<MemoryHeader> {
  const bytes = new Uint8Array(state)
  try {
    const pages = await PagesWriter.open(place.pages)
    try {
      for (const part of partsOf(bytes)) {
        const whole = part.literal ? 0 : Math.floor(part.bytes.length / PAGE) * PAGE
        await pages.pages(part.bytes.subarray(0, whole))
        pages.literal(part.bytes.subarray(whole))
      }
      const { packs, recipe } = await pages.finish()
      const header: FileHeader = {
        ...{ format: 2, engine: 'embedded', ...owner, savedAt: new Date().toISOString() },
        ...{ stateBytes: bytes.length, stateCrc32: crc32(bytes), clockMs, packs },
      }
      return await writeMemoryFile(place.path, header, recipe)
    } catch (error) {
      await pages.abandon()
      throw error
    } finally {
      await pages.close()
    }
  } catch (error) {
    throw asAppError(error, 'Saving the memory of the machine')
  }
}

/**
 * v86's state is a head of four 32-bit numbers (the fourth: bytes of the JSON behind it), JSON that says where buffers lie, and those, each at a multiple of
 * four (v86, src/state.js). Each is a part, so that what is the same in it lies at the same place in its page; the JSON is other each time.
 */
function* partsOf(state: Uint8Array<ArrayBuffer>): Generator<{ literal: boolean; bytes: Uint8Array }> {
  const length = new DataView(state.buffer).getInt32(12, true)
  const { buffer_infos: buffers } = buffersSchema.parse(JSON.parse(new TextDecoder().decode(state.subarray(16, 16 + length))))
  const first = Math.ceil((16 + length) / 4) * 4
  const starts = buffers.map(({ offset }) => first + offset)
  yield { literal: true, bytes: state.subarray(0, starts[0] ?? state.length) }
  for (const [at, start] of starts.entries()) yield { literal: false, bytes: state.subarray(start, starts[at + 1] ?? state.length) }
}

const buffersSchema = z.object({ buffer_infos: z.array(z.object({ offset: z.number() })) })

/** @throws AppError saying why this state cannot be gone on from */
export async function readMemory({ path, pages }: MemoryPlace, owner: StateOwner): Promise<LoadedState> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const { header, start } = await readHeader(file, path, headerSchema)
    checkOwner(header, owner, path)
    if (header.engineVersion !== owner.engineVersion)
      throw refuseMemory(path, `it was saved by ${header.engineVersion}, and this is ${owner.engineVersion}`)
    const state = new Uint8Array(header.stateBytes)
    if (header.format === 1) {
      if (size !== start + header.stateBytes) throw corruptMemory(path, `it has ${size} bytes and should have ${start + header.stateBytes}`)
      state.set(await readExactly(file, start, header.stateBytes))
    } else
      await putTogether(
        readPages({ path, folder: pages, packs: header.packs, recipe: await readExactly(file, start, size - start) }),
        state,
        path,
      )
    if (crc32(state) !== header.stateCrc32) throw corruptMemory(path, 'its checksum is wrong')
    return { state: state.buffer, clockMs: header.clockMs }
  } catch (error) {
    throw asAppError(error, 'Reading the saved memory of the machine')
  }
}

async function putTogether(pieces: AsyncGenerator<Uint8Array>, state: Uint8Array, path: string): Promise<void> {
  let at = 0
  for await (const piece of pieces) {
    if (at + piece.length > state.length) throw corruptMemory(path, `more than ${state.length} bytes come from it`)
    state.set(piece, at)
    at += piece.length
  }
  if (at < state.length) throw corruptMemory(path, `${at} bytes come from it, and ${state.length} should`)
}
