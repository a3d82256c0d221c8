/**
 * Remembers, beside a layer, that it was merged into another: between the moment when nothing rests on it any more and the one when it is gone, nothing
 * else tells it from a layer that a machine needs.
 */
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { restsOn } from '../chain/find-backing.ts'
import { backingOf } from '../chain/rests-on.ts'

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
 * @param known one that may
 * @returns another one that rests on the file; null: none does that can be read
 */
export async function nameOfUser(lower: string, known: string | null = null): Promise<string | null> {
  const folder = dirname(lower)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isFile() && path !== lower && path !== known && (await namesAsBacking(path, lower))) return path
  }
  return null
}

async function namesAsBacking(path: string, lower: string): Promise<boolean> {
  const backing = await backingOf(path, null)
  return backing !== null && (await restsOn(path, backing.path, lower))
}

function markOf(lower: string): string {
  return join(dirname(lower), `.${basename(lower).slice(0, 200)}.coppice-merged`)
}

async function inodeOf(path: string): Promise<string> {
  return String((await stat(path, { bigint: true })).ino)
}
