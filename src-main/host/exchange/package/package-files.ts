/** The files of a package: members of an archive, which stay where they are, or files in the folder of a machine's description. */
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { storageThread, type ArchiveMember, type FilePart } from '../../../../src-shared/threads/storage-thread.ts'
import { isInside } from '../../library/bundle.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import { plainName } from '../text/file-reference.ts'
import { shown } from '../text/remarks.ts'

/** Bytes of a description of a machine, or of a manifest. */
const MAX_DESCRIPTION = 4 * 1024 * 1024

export interface PackageFiles {
  /** Plain names of what is right in it. */
  readonly names: readonly string[]
  /** Where images may lie that those of the package rest on. */
  readonly folders: readonly string[]
  /**
   * @param name plain
   * @returns null where there is no such file
   * @throws AppError `denied` where it is a link that leads out of the folder
   */
  part(name: string): Promise<FilePart | null>
}

export interface ArchiveFiles extends PackageFiles {
  /** By their plain names. */
  readonly members: ReadonlyMap<string, ArchiveMember>
}

/** @param what the archive, for sentences @throws AppError `corrupt`, `unsupported` */
export async function archiveFiles(path: string, what: string, storage: SharedThread): Promise<ArchiveFiles> {
  const members = await storage.use(({ rpc }) => rpc.service(storageThread).listArchive({ path }))
  const bad = (is: string): AppError => new AppError('corrupt', `${what} ${is}.`, { subject: path })
  const byName = new Map<string, ArchiveMember>()
  for (const member of members) {
    if (member.type === 'directory') continue
    const name = plainName(member.name)
    if (name === null) throw bad(`has a file whose name leads out of it: “${shown(member.name)}”`)
    if (member.type !== 'file') throw bad(`has a link or a device (“${shown(name)}”), which no package has`)
    if (byName.has(name)) throw bad(`has two files of one name (“${shown(name)}”)`)
    byName.set(name, member)
  }
  return {
    members: byName,
    names: [...byName.keys()],
    folders: [],
    part: async (name) => {
      const member = byName.get(name)
      return member ? partOf(path, member) : null
    },
  }
}

export function partOf(path: string, { name, offset, size }: ArchiveMember): FilePart {
  return { path, range: { name: shown(name) || 'a file', offset, length: size } }
}

/** @param folder absolute */
export async function folderFiles(folder: string): Promise<PackageFiles> {
  const root = await realpath(folder).catch((error: unknown) => {
    throw asAppError(error, `Opening “${folder}”`)
  })
  return {
    names: await readdir(root),
    folders: [root],
    part: async (name) => {
      const path = join(root, ...name.split('/'))
      if ((await lstat(path).catch(() => null)) === null) return null
      const real = await realpath(path).catch(() => null)
      if (real === null || !isInside(root, real))
        throw new AppError('denied', `“${path}” is a link that leads out of the machine’s folder. Put the file itself there.`, {
          subject: path,
        })
      return (await stat(real)).isFile() ? { path: real, range: null } : null
    },
  }
}

/** @throws AppError `unsupported` for more than a description has, or the system's reason */
export async function readText(part: FilePart, storage: SharedThread): Promise<Uint8Array> {
  const { bytes } = await storage.use(({ rpc }) => rpc.service(storageThread).readPart({ part, limit: MAX_DESCRIPTION }))
  return bytes
}
