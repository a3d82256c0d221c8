/**
 * Folders for sockets: `<runtime>/coppice/<name>/`, private to the user (0700, owner checked), because whoever can connect to what lies there
 * owns what answers.
 */
import { lstat, mkdir, stat } from 'node:fs/promises'
import { homedir, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'

/** Bytes of a socket's path, with the final zero: sun_path has 104 on macOS and the BSDs, 108 on Linux. */
export const MAX_SOCKET_PATH = 100

type Environment = Readonly<Record<string, string | undefined>>

export interface RuntimePlaces {
  env?: Environment
  platform?: NodeJS.Platform
  temporary?: string
}

/**
 * Makes and checks `<runtime>/coppice/<name>/`, at the first place that can be had.
 * @param socketName bytes of the longest name of a socket in it
 * @throws AppError `denied` where the place belongs to somebody else or is open to others, `io`, `unavailable`
 */
export async function privateFolder(name: string, socketName: number, places: RuntimePlaces = {}): Promise<string> {
  const refused: AppError[] = []
  for (const { base, parent, personal } of candidates(places)) {
    const folder = join(base, name)
    if (Buffer.byteLength(folder) + 1 + socketName >= MAX_SOCKET_PATH && process.platform !== 'win32') {
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

/** Every `<runtime>/coppice` that `privateFolder` may have used and that is ours and closed to others: to look for what is left. */
export async function privateBases(places: RuntimePlaces = {}): Promise<string[]> {
  const found: string[] = []
  for (const { base, parent, personal } of candidates(places)) {
    if (!(await usable(parent, personal))) continue
    if (await isPrivate(base)) found.push(base)
  }
  return found
}

/** Whether `folder` is there, ours and closed to others. */
export async function isPrivate(folder: string): Promise<boolean> {
  return (await checkPrivate(folder).catch(() => true)) === null
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
  const refused = await checkPrivate(folder)
  if (refused) throw refused
}

/** Why `folder` cannot be trusted; null where it can. */
async function checkPrivate(folder: string): Promise<AppError | null> {
  const found = await lstat(folder)
  if (process.platform === 'win32') return null // under the user's profile, whose access list it inherits
  if (!found.isDirectory())
    return new AppError('denied', `${folder} is not a folder. Remove it: Coppice keeps its socket there.`, { subject: folder })
  if (found.uid !== userInfo().uid)
    return new AppError(
      'denied',
      `${folder} belongs to another user, so Coppice does not put its socket there. Set XDG_RUNTIME_DIR to a folder of your own.`,
      {
        subject: folder,
      },
    )
  if ((found.mode & 0o077) !== 0)
    return new AppError('denied', `Others can use ${folder}, so Coppice does not put its socket there. Run: chmod 700 '${folder}'`, {
      subject: folder,
    })
  return null
}
