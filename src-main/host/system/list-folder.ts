/** The folders of this computer, for choosing files in the window. */
import { opendir, realpath, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { DirectoryEntry } from '../../../src-shared/api/system.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'

export const MAX_ENTRIES = 5000
/** Entries that are looked at: a folder may have millions of hidden ones. */
const MAX_LOOKED_AT = 50_000
/** Entries that are asked about at once. */
const BATCH = 64

export interface Folder {
  path: string
  parent: string | null
  /** Folders and bundles first, then files, each by name. */
  entries: DirectoryEntry[]
  truncated: boolean
}

/**
 * Visible folders, bundles and regular files; links count as what they lead to, and what leads nowhere is left out.
 * @param path absolute; a leading `~` is the home folder
 * @throws AppError `invalid-input`, `not-found`, `denied`
 */
export async function listFolder(path: string, maxEntries = MAX_ENTRIES): Promise<Folder> {
  const wish = /^~(?=[/\\]|$)/.test(path) ? join(homedir(), path.slice(1)) : path
  if (!isAbsolute(wish) || wish.includes('\0'))
    throw new AppError('invalid-input', `“${path}” is not a full path. Begin at the root folder, or with ~ for your home folder.`)
  const folder = resolve(wish)
  try {
    const { names, truncated } = await visibleNames(folder, maxEntries)
    const entries: DirectoryEntry[] = []
    for (let at = 0; at < names.length; at += BATCH) {
      const batch = await Promise.all(names.slice(at, at + BATCH).map((name) => describe(join(folder, name), name)))
      entries.push(...batch.filter((entry) => entry !== null))
    }
    entries.sort((a, b) => Number(a.kind === 'file') - Number(b.kind === 'file') || byName.compare(a.name, b.name))
    const parent = dirname(folder)
    return { path: folder, parent: parent === folder ? null : parent, entries, truncated }
  } catch (error) {
    throw asAppError(error, 'Reading the folder')
  }
}

const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })

async function visibleNames(folder: string, maxEntries: number): Promise<{ names: string[]; truncated: boolean }> {
  const names: string[] = []
  let looked = 0
  for await (const { name } of await opendir(await realpath(folder), { bufferSize: 256 })) {
    if (++looked > MAX_LOOKED_AT) return { names, truncated: true }
    if (name.startsWith('.') || (process.platform === 'win32' && name.startsWith('$'))) continue
    if (names.length === maxEntries) return { names, truncated: true }
    names.push(name)
  }
  return { names, truncated: false }
}

async function describe(path: string, name: string): Promise<DirectoryEntry | null> {
  const stats = await stat(path).catch(() => null)
  const modified = stats?.mtime.toISOString() ?? null
  if (stats?.isDirectory()) return { name, path, kind: name.endsWith('.coppice') ? 'bundle' : 'folder', bytes: null, modified }
  if (stats?.isFile()) return { name, path, kind: 'file', bytes: stats.size, modified }
  return null
}
