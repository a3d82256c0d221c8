/** What images rest on, read without their locks: also of those that are in use, or are just being changed. Headers alone are looked at. */
import { constants } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { NamedBacking } from '../disk-image.ts'
import { byteFile } from '../file/open-byte-file.ts'
import { FORMATS } from '../formats/formats.ts'
import { recognised } from '../formats/recognise.ts'
import { MAX_LAYERS } from '../open-image.ts'

/** Without it, opening a named pipe would wait for its other end for ever. Absent on Windows. */
const NONBLOCK = constants.O_NONBLOCK ?? 0

/** @returns what a file names as the older layer below it; null: nothing, or it is no image that can be read */
export async function backingOf(path: string, format: DiskFormat | null): Promise<NamedBacking | null> {
  const handle = await open(path, constants.O_RDONLY | NONBLOCK).catch(() => null)
  if (!handle) return null
  const stats = await handle.stat()
  const file = byteFile(handle, path, stats.size, true)
  try {
    if (!stats.isFile() || stats.size === 0) return null
    const known = format ?? (await recognised(file))
    const image = known && (await FORMATS[known]?.open(file, { openBacking: async () => null }))
    return image?.backing ?? null
  } catch {
    return null // no image, or one that nobody can use
  } finally {
    await file.close()
  }
}

/**
 * Wherever they lie: nothing but their names comes of it.
 * @returns real paths, the newest first, as far as they are found
 */
export async function filesBelow(path: string, format: DiskFormat | null): Promise<string[]> {
  const found: string[] = []
  try {
    let above = await realpath(path)
    for (let named = await backingOf(above, format); named !== null && found.length < MAX_LAYERS;) {
      above = await realpath(resolve(dirname(above), named.path))
      if (found.includes(above)) break
      found.push(above)
      named = await backingOf(above, named.format)
    }
  } catch {
    // What it names is not there, or no file.
  }
  return found
}
