/**
 * Remembers, beside a layer, that it was merged into another: between the moment when nothing rests on it any more and the one when it is gone, nothing
 * else tells it from a layer that a machine needs.
 */
import { open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { restsOn } from '../chain/find-backing.ts'
import { byteFile } from '../file/open-byte-file.ts'
import { FORMATS } from '../formats/formats.ts'
import { recognised } from '../formats/recognise.ts'

/** Inode numbers: names can be given anew. */
const markSchema = z.strictObject({ lower: z.string(), upper: z.string() })

/** Durable when it resolves. @throws AppError the system's reason */
export async function markMerged(lower: string, upper: string): Promise<void> {
  await writeFileAtomic(markOf(lower), JSON.stringify({ lower: await inodeOf(lower), upper: await inodeOf(upper) }))
}

export async function isMarkedMerged(lower: string, upper: string): Promise<boolean> {
  try {
    const mark = markSchema.parse(JSON.parse(await readFile(markOf(lower), 'utf8')))
    return mark.lower === (await inodeOf(lower)) && mark.upper === (await inodeOf(upper))
  } catch {
    return false
  }
}

export async function unmark(lower: string): Promise<void> {
  await rm(markOf(lower), { force: true })
}

/**
 * Looks at the headers of the images in the file's folder, also of those that are in use.
 * @returns one that rests on the file; null: none does that can be read
 */
export async function nameOfUser(lower: string): Promise<string | null> {
  const folder = dirname(lower)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isFile() && path !== lower && (await restsOnUnlocked(path, lower))) return path
  }
  return null
}

async function restsOnUnlocked(path: string, lower: string): Promise<boolean> {
  const handle = await open(path, 'r').catch(() => null)
  if (!handle) return false
  const file = byteFile(handle, path, (await handle.stat()).size, true)
  try {
    const format = await recognised(file)
    const image = format && (await FORMATS[format]?.open(file, { openBacking: async () => null }))
    const backing = image?.backing ?? null
    return backing !== null && (await restsOn(path, backing.path, lower))
  } catch {
    return false // no image, or one that nobody can use
  } finally {
    await file.close()
  }
}

function markOf(lower: string): string {
  return join(dirname(lower), `.${basename(lower).slice(0, 200)}.coppice-merged`)
}

async function inodeOf(path: string): Promise<string> {
  return String((await stat(path, { bigint: true })).ino)
}
