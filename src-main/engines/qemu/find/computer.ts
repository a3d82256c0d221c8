/** The computer as the search sees it, so that the search on Windows and macOS can be tested anywhere. */
import { constants } from 'node:fs'
import { access, open, readdir, realpath, stat } from 'node:fs/promises'
import { cpus, homedir, release } from 'node:os'
import { posix, win32, type PlatformPath } from 'node:path'

export interface FileFacts {
  bytes: number
  /** ms since 1970 */
  modified: number
}

/** Nothing here rejects: what cannot be looked at is not there. */
export interface Files {
  /** Null unless it is a regular file, or a link to one. */
  facts(path: string): Promise<FileFacts | null>
  /** Whether this user may run it. */
  isProgram(path: string): Promise<boolean>
  /** Whether this user may read and write it, be it a device. `absent` where there is none. */
  access(path: string): Promise<'yes' | 'no' | 'absent'>
  /** Without links; the path itself where they cannot be followed. */
  real(path: string): Promise<string>
  /** Names, sorted; empty where there is no such folder. */
  list(folder: string): Promise<string[]>
  /** Null where it cannot be read or has more bytes. */
  read(path: string, maxBytes: number): Promise<string | null>
}

export interface Computer {
  platform: NodeJS.Platform
  /** As process.arch names it. */
  arch: string
  env: Readonly<Record<string, string | undefined>>
  home: string
  /** Changes when what an accelerator can do may have changed: kernel and processor. */
  id: string
  files: Files
}

export function thisComputer(): Computer {
  return {
    platform: process.platform,
    arch: process.arch,
    env: process.env,
    home: homedir(),
    id: [process.platform, process.arch, release(), cpus()[0]?.model.trim() ?? ''].join(' '),
    files: realFiles,
  }
}

export function pathsOf({ platform }: Pick<Computer, 'platform'>): PlatformPath {
  return platform === 'win32' ? win32 : posix
}

/** A variable of the environment, whose names on Windows have no case. */
export function variable({ env, platform }: Pick<Computer, 'env' | 'platform'>, name: string): string {
  if (platform !== 'win32') return env[name] ?? ''
  const key = Object.keys(env).find((one) => one.toUpperCase() === name.toUpperCase())
  return (key === undefined ? undefined : env[key]) ?? ''
}

const realFiles: Files = {
  async facts(path) {
    const stats = await stat(path).catch(() => null)
    return stats?.isFile() ? { bytes: stats.size, modified: Math.round(stats.mtimeMs) } : null
  },
  async isProgram(path) {
    const stats = await stat(path).catch(() => null)
    if (!stats?.isFile()) return false
    return access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
  },
  access: (path) =>
    access(path, constants.R_OK | constants.W_OK).then(
      () => 'yes' as const,
      (error: NodeJS.ErrnoException) => (error.code === 'EACCES' || error.code === 'EPERM' ? 'no' : 'absent'),
    ),
  real: (path) => realpath(path).catch(() => path),
  async list(folder) {
    return (await readdir(folder).catch(() => [])).sort()
  },
  async read(path, maxBytes) {
    // A pipe in place of a file must not hold us up. Files of /proc have no size: what counts is what comes.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch(() => null)
    if (!file) return null
    try {
      if (!(await file.stat()).isFile()) return null
      const bytes = new Uint8Array(maxBytes + 1)
      let length = 0
      for (let more = -1; more !== 0 && length < bytes.length; length += more)
        more = (await file.read(bytes, length, bytes.length - length)).bytesRead
      return length > maxBytes ? null : new TextDecoder().decode(bytes.subarray(0, length))
    } catch {
      return null
    } finally {
      await file.close()
    }
  },
}
