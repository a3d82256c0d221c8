/** Which packs the memory files of a machine need, told by their headers alone: of every engine (memory-file.ts). */
import { constants } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { memoryHeaderFields, readHeader } from '../memory-file.ts'
import { roomOf } from '../room.ts'
import { isTemporary } from '../write-file-atomic.ts'
import { Pack, packId, packPath } from './pack.ts'
import { MAX_PACKS } from './write-pages.ts'

const packs = z.array(z.uuid()).max(MAX_PACKS)
/** Of any engine’s memory file: the packs that it is put together from. */
export const packsHeader = z.object({ packs: packs.default([]) })

/** What headers of an engine's memory files are: format 2 is put together from pages, format 1 has the state itself. @param own fields of that engine's */
export function memoryHeaderSchema<Own extends z.ZodRawShape>(own: Own) {
  const fields = { ...memoryHeaderFields, ...own }
  return z.union([z.object({ ...fields, format: z.literal(2), packs }), z.object({ ...fields, format: z.literal(1) })])
}

/**
 * @param path of a memory file
 * @returns none where it is not there, or stands alone
 * @throws AppError `corrupt`, or the system's reason
 */
export async function packsOf(path: string): Promise<string[]> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
  if (!file) return []
  try {
    return (await readHeader(file, path, packsHeader)).header.packs
  } finally {
    await file.close()
  }
}

/** @throws AppError `corrupt` where one is not there, or cannot be one; what is in them is not looked at */
export async function checkPacks(folder: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) await (await Pack.open(packPath(folder, id))).close()
}

/** The packs that are there, and the bytes that each takes. */
export async function packRooms(folder: string): Promise<Map<string, number>> {
  const names: string[] = await readdir(folder).catch(() => [])
  const rooms = new Map<string, number>()
  for (const name of names) {
    const id = packId(name)
    const stats = id === null ? null : await stat(join(folder, name)).catch(() => null)
    if (stats) rooms.set(id!, roomOf(stats))
  }
  return rooms
}

/**
 * Deletes what nobody needs: packs, and what crashes left. While nothing is saved.
 * @param memories every memory file of the machine
 * @throws AppError where one cannot be read: then nothing is deleted
 */
export async function deleteUnneeded(folder: string, memories: readonly string[]): Promise<void> {
  const names: string[] = await readdir(folder).catch(() => [])
  if (names.length === 0) return
  const needed = new Set<string>()
  for (const path of memories) for (const id of await packsOf(path)) needed.add(packPath(folder, id))
  for (const name of names) {
    const path = join(folder, name)
    if (isTemporary(name) || (packId(name) !== null && !needed.has(path))) await rm(path, { force: true })
  }
}
