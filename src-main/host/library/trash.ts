/**
 * Throwing bundles away so that they can be had back. On Linux the user's own trash, as the desktop shows it (freedesktop.org Trash
 * specification 1.0: files/, info/ with .trashinfo); where that is on another disk, or on other systems, a trash of the same form in the
 * library's `.trash`. A bundle is moved by one rename, never copied and deleted.
 */
import { lstat, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { BUNDLE_SUFFIX } from './bundle.ts'

export const LIBRARY_TRASH = '.trash'

/** The trash folders to use, the best one first. */
export function trashFolders(library: string, platform = process.platform, env: NodeJS.ProcessEnv = process.env): string[] {
  const own = join(library, LIBRARY_TRASH)
  if (platform !== 'linux') return [own]
  const data = env['XDG_DATA_HOME']
  return [join(data && isAbsolute(data) ? data : join(homedir(), '.local', 'share'), 'Trash'), own]
}

/**
 * Moves a bundle to the first trash that takes it.
 * @returns where it is now, absolute
 * @throws AppError by the system's reason where none does
 */
export async function moveToTrash(bundle: string, trashes: readonly string[], now = new Date()): Promise<string> {
  let failure: unknown
  for (const trash of trashes) {
    try {
      return await moveTo(trash, bundle, now)
    } catch (error) {
      failure = error
    }
  }
  throw asAppError(failure, `Moving “${bundle}” to the trash`)
}

async function moveTo(trash: string, bundle: string, now: Date): Promise<string> {
  const files = join(trash, 'files')
  const info = join(trash, 'info')
  await mkdir(files, { recursive: true, mode: 0o700 })
  await mkdir(info, { recursive: true, mode: 0o700 })
  const stem = basename(bundle).slice(0, -BUNDLE_SUFFIX.length)
  for (let n = 1; ; n++) {
    const name = n === 1 ? `${stem}${BUNDLE_SUFFIX}` : `${stem} ${n}${BUNDLE_SUFFIX}`
    const infoFile = join(info, `${name}.trashinfo`)
    try {
      // The information file is made first, exclusively: it claims the name (specification, "Contents of a trash directory").
      await writeFile(infoFile, trashInfo(bundle, now), { flag: 'wx', mode: 0o600 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      throw error
    }
    const target = join(files, name)
    try {
      if (await lstat(target).catch(() => null)) throw Object.assign(new Error('taken'), { code: 'EEXIST' })
      await rename(bundle, target)
      return target
    } catch (error) {
      await unlink(infoFile).catch(() => {})
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue
      throw error
    }
  }
}

/** Path percent-encoded as in a URL, date in local time without a zone (specification, "The .trashinfo file"). */
export function trashInfo(path: string, now: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`
  return `[Trash Info]\nPath=${path.split('/').map(encodeURIComponent).join('/')}\nDeletionDate=${day}T${time}\n`
}

/**
 * Where something in one of these trashes came from.
 * @throws AppError `not-found` where it is not there, or was not put there as a trash does
 */
export async function trashedFrom(trashedTo: string, trashes: readonly string[]): Promise<string> {
  const trash = dirname(dirname(trashedTo))
  const name = basename(trashedTo)
  const gone = new AppError('not-found', `“${trashedTo}” is not in the trash any more.`, { subject: trashedTo })
  if (!trashes.includes(trash) || dirname(trashedTo) !== join(trash, 'files') || !name.endsWith(BUNDLE_SUFFIX)) throw gone
  const text = await readFile(join(trash, 'info', `${name}.trashinfo`), 'utf8').catch(() => null)
  const encoded = /^Path=(.+)$/m.exec(text ?? '')?.[1]
  const stats = await lstat(trashedTo).catch(() => null)
  if (encoded === undefined || !stats?.isDirectory()) throw gone
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw gone
  }
}

/** Removes the information of something that was moved out of the trash. */
export async function forgetTrashed(trashedTo: string): Promise<void> {
  await unlink(join(dirname(dirname(trashedTo)), 'info', `${basename(trashedTo)}.trashinfo`)).catch(() => {})
}
