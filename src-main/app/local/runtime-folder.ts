/**
 * The per-user folder where a library's host has its socket and its claim: `<runtime>/coppice/<short id>/`. Private to the user (0700, owner
 * checked), because whoever can connect owns the library's machines.
 */
import { createHash } from 'node:crypto'
import { lstat, mkdir, realpath, stat } from 'node:fs/promises'
import { homedir, tmpdir, userInfo } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'

/** Bytes of a socket's path, with the final zero: sun_path has 104 on macOS and the BSDs, 108 on Linux. */
export const MAX_SOCKET_PATH = 100
/** The longest name that is put into the folder as a socket: "host-" and eight digits and ".sock". */
const SOCKET_NAME_BYTES = 20

type Environment = Readonly<Record<string, string | undefined>>

export interface RuntimePlaces {
  env?: Environment
  platform?: NodeJS.Platform
  temporary?: string
}

/** Twelve hexadecimal digits that stand for a library's real path. */
export function libraryId(realPath: string, platform: NodeJS.Platform = process.platform): string {
  // Paths of Windows and macOS do not tell case apart.
  const key = platform === 'win32' || platform === 'darwin' ? realPath.toLowerCase() : realPath
  return createHash('sha256').update(key).digest('hex').slice(0, 12)
}

/** `path` with its links resolved as far as it exists: a library has the same id before and after it is made. */
export async function realLibraryPath(path: string): Promise<string> {
  const wanted = resolve(path)
  try {
    return await realpath(wanted)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const parent = dirname(wanted)
    if (code !== 'ENOENT' || parent === wanted) throw asAppError(error, 'Opening the library')
    return join(await realLibraryPath(parent), basename(wanted))
  }
}

/**
 * Makes and checks the folder for a library's host.
 * @throws AppError `denied` where the place belongs to somebody else or is open to others, `io`, `unavailable`
 */
export async function runtimeFolderFor(library: string, places: RuntimePlaces = {}): Promise<string> {
  const id = libraryId(await realLibraryPath(library), places.platform)
  const refused: AppError[] = []
  for (const { base, parent, personal } of candidates(places)) {
    const folder = join(base, id)
    if (Buffer.byteLength(folder) + 1 + SOCKET_NAME_BYTES >= MAX_SOCKET_PATH && process.platform !== 'win32') {
      refused.push(new AppError('unavailable', `The path ${folder} is too long for a socket.`))
      continue
    }
    try {
      if (!(await usable(parent, personal))) continue
      await makePrivate(base)
      await makePrivate(folder)
      return folder
    } catch (error) {
      refused.push(asAppError(error, 'Making the folder for Coppice’s socket'))
    }
  }
  throw (
    refused[0] ??
    new AppError('unavailable', 'There is no folder for Coppice’s socket. Set XDG_RUNTIME_DIR to a folder that only you can use.')
  )
}

interface Candidate {
  base: string
  /** Has to exist already. */
  parent: string
  /** `parent` has to be this user's: a root shell opened with sudo still carries the other user's XDG_RUNTIME_DIR. */
  personal: boolean
}

/** Folders to try, in order. */
function candidates({ env = process.env, platform = process.platform, temporary = tmpdir() }: RuntimePlaces): Candidate[] {
  if (platform === 'win32') {
    const local = env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local')
    return [{ base: join(local, 'Coppice', 'Run'), parent: local, personal: false }]
  }
  const uid = userInfo().uid
  const places: Candidate[] = []
  const given = env['XDG_RUNTIME_DIR']
  if (given) places.push({ base: join(given, 'coppice'), parent: given, personal: true })
  // A login over ssh and a job of cron must find the same host, though only one of them is told the folder.
  const customary = `/run/user/${uid}`
  if (platform === 'linux' && given !== customary) places.push({ base: join(customary, 'coppice'), parent: customary, personal: true })
  for (const folder of new Set([temporary, '/tmp'])) places.push({ base: join(folder, `coppice-${uid}`), parent: folder, personal: false })
  return places
}

async function usable(parent: string, personal: boolean): Promise<boolean> {
  const found = await stat(parent).catch(() => null)
  return found !== null && found.isDirectory() && (!personal || found.uid === userInfo().uid)
}

/** Makes `folder` 0700 and makes sure that it is ours and closed to others: in a shared /tmp anybody can have made it first. */
async function makePrivate(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700, recursive: process.platform === 'win32' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  if (process.platform === 'win32') return // under the user's profile, whose access list it inherits
  const found = await lstat(folder)
  if (!found.isDirectory())
    throw new AppError('denied', `${folder} is not a folder. Remove it: Coppice keeps its socket there.`, { subject: folder })
  if (found.uid !== userInfo().uid)
    throw new AppError(
      'denied',
      `${folder} belongs to another user, so Coppice does not put its socket there. Set XDG_RUNTIME_DIR to a folder of your own.`,
      {
        subject: folder,
      },
    )
  if ((found.mode & 0o077) !== 0)
    throw new AppError('denied', `Others can use ${folder}, so Coppice does not put its socket there. Run: chmod 700 '${folder}'`, {
      subject: folder,
    })
}
