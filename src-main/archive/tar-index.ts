/** What a tar archive has and where, read by its headers alone: contents are skipped, and can be read in place afterwards. */
import { AppError } from '../../src-shared/errors/app-error.ts'
import { paddingOf, parseTarHeader, TAR_BLOCK, TarHeaders, type TarEntry } from './tar.ts'

export const MAX_TAR_MEMBERS = 10_000

export interface TarMember extends TarEntry {
  /** Where its contents begin, bytes from the start of the archive; they are `size` bytes, all inside the archive. */
  offset: number
}

/**
 * @param size bytes of the archive
 * @param read so many bytes from an offset; always inside of the archive
 * @throws AppError `corrupt`, `unsupported` (more than MAX_TAR_MEMBERS), or what `read` throws
 */
export async function listTar(size: number, read: (offset: number, length: number) => Promise<Uint8Array>): Promise<TarMember[]> {
  const members: TarMember[] = []
  const headers = new TarHeaders()
  const inside = (offset: number, length: number, what: string): void => {
    if (!(length <= size - offset)) throw new AppError('corrupt', `The tar archive ends too early, inside ${what}.`)
  }
  let blocks = 0
  for (let at = 0; at < size;) {
    inside(at, TAR_BLOCK, 'a header')
    const header = await read(at, TAR_BLOCK)
    // Two zero blocks end an archive; some writers leave one or both out.
    if (header.every((byte) => byte === 0)) break
    if (++blocks > 3 * MAX_TAR_MEMBERS || members.length === MAX_TAR_MEMBERS)
      throw new AppError('unsupported', `The tar archive has more than ${MAX_TAR_MEMBERS} files.`)
    const { entry, flag } = parseTarHeader(header)
    const offset = at + TAR_BLOCK
    const extension = headers.extension(flag)
    if (extension !== null) {
      if (entry.size > extension.limit)
        throw new AppError(
          'corrupt',
          `The tar archive is damaged: ${extension.what} has ${entry.size} bytes, more than ${extension.limit}.`,
        )
      inside(offset, entry.size, extension.what)
      headers.extend(flag, await read(offset, entry.size))
      at = offset + entry.size + paddingOf(entry.size)
      continue
    }
    const member = { ...headers.complete(entry), offset }
    inside(offset, member.size, `“${member.name}”`)
    members.push(member)
    at = offset + member.size + paddingOf(member.size)
  }
  return members
}
