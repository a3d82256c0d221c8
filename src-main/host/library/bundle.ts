/**
 * What a machine's bundle looks like on disk: the names of its files, and how the paths in its configuration become absolute ones.
 *
 *     <name>.coppice/machine.json            what the machine is
 *                    boot/kernel, initrd     what it boots, where that is not a drive
 *                    disks/*                 the drives it owns
 *                    firmware/               what its UEFI and its TPM remember, on QEMU
 *                    suspend/suspend.json    present exactly while it is suspended; beside it the memory state
 *                    suspend.new/            a suspend that is being written; means nothing
 *                    logs/serial<N>.log      what its serial ports printed
 *                    snapshots/<id>/         frozen states
 *                    pages/                  memory that suspended and frozen states share
 *                    vnc-password            for VNC viewers; its owner's alone (0600)
 *                    lock                    who runs it now
 */
import { lstat, realpath } from 'node:fs/promises'
import { basename, isAbsolute, join, normalize, sep } from 'node:path'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { isAbsolutePath } from '../../../src-shared/model/machine.ts'
import type { MemoryPlace } from '../../../src-shared/threads/engine-thread.ts'

export const BUNDLE_SUFFIX = '.coppice'
export const CONFIG_FILE = 'machine.json'
export const SUSPEND_FOLDER = 'suspend'
/** Bytes of machine.json; the notes alone may have 64 KiB. */
export const MAX_CONFIG_BYTES = 1024 * 1024
/** Bytes of a file name on common file systems, less room for our suffix and a number. */
const MAX_FOLDER_NAME_BYTES = 235

export interface BundlePaths {
  config: string
  boot: string
  disks: string
  firmware: string
  logs: string
  suspend: string
  /** A suspend that is being written. */
  suspendNew: string
  suspendRecord: string
  memory: string
  /** Of memory states. */
  pages: string
  vncPassword: string
  lock: string
}

/** @param folder absolute path of the bundle */
export function bundlePaths(folder: string): BundlePaths {
  const suspend = join(folder, SUSPEND_FOLDER)
  return {
    config: join(folder, CONFIG_FILE),
    boot: join(folder, 'boot'),
    disks: join(folder, 'disks'),
    firmware: join(folder, 'firmware'),
    logs: join(folder, 'logs'),
    suspend,
    suspendNew: join(folder, 'suspend.new'),
    suspendRecord: join(suspend, 'suspend.json'),
    memory: join(suspend, 'memory'),
    pages: join(folder, 'pages'),
    vncPassword: join(folder, 'vnc-password'),
    lock: join(folder, 'lock'),
  }
}

/** A memory state of this machine. @param path of its file */
export function memoryPlace(folder: string, path: string): MemoryPlace {
  return { path, pages: bundlePaths(folder).pages }
}

/** The folder name for a machine's name: itself, cut to what file systems take (255 bytes), and the suffix. */
export function bundleFolderName(name: string): string {
  let stem = ''
  let bytes = 0
  for (const character of name) {
    bytes += Buffer.byteLength(character)
    if (bytes > MAX_FOLDER_NAME_BYTES) break
    stem += character
  }
  return `${stem}${BUNDLE_SUFFIX}`
}

/** The name that a bundle's folder suggests. */
export function nameFromFolder(folder: string): string {
  const name = basename(folder)
  return name.endsWith(BUNDLE_SUFFIX) ? name.slice(0, -BUNDLE_SUFFIX.length) : name
}

/** Names that differ in case or in Unicode composition alone are one name on some file systems, so they are one name everywhere. */
export function nameKey(name: string): string {
  return name.normalize('NFC').toLowerCase()
}

/**
 * Where a path of machine.json points. Absolute ones are the user's own files and stay as they are; relative ones must stay inside of the
 * bundle, also through symbolic links. A file that does not exist gives its path: who opens it reports it.
 * @throws AppError `denied` where it leaves the bundle
 */
export async function resolveInBundle(bundle: string, path: string): Promise<string> {
  if (isAbsolutePath(path)) return path
  const target = join(bundle, normalize(path))
  const escaped = new AppError('denied', `“${path}” leaves the machine’s bundle. Put the file inside, or give its full path.`, {
    subject: path,
  })
  if (!isInside(bundle, target)) throw escaped
  const link = await lstat(target).catch(() => null)
  if (!link) return target
  const [root, real] = await Promise.all([realpath(bundle), realpath(target).catch(() => null)])
  if (real === null || !isInside(root, real)) throw escaped
  return target
}

/** The logs folder and what the engine writes into it. */
export function logFiles(bundle: string): string[] {
  const { logs } = bundlePaths(bundle)
  return [logs, ...[0, 1, 2, 3].flatMap((port) => [join(logs, `serial${port}.log`), join(logs, `serial${port}.log.1`)])]
}

/**
 * A bundle from elsewhere must not direct our reading and writing to other files.
 * @throws AppError `denied` where one of the paths is a symbolic link
 */
export async function refuseLinks(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const stats = await lstat(path).catch(() => null)
    if (stats?.isSymbolicLink())
      throw new AppError('denied', `“${path}” is a link. A machine’s own files must stand in its bundle: remove the link.`, {
        subject: path,
      })
  }
}

/** True where `path` is below `folder`; both absolute and normal. */
export function isInside(folder: string, path: string): boolean {
  return isAbsolute(path) && path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}
