/** The folder whose files machines may load. What machines ask for stays in it, wherever its links lead. */
import { constants, type Stats } from 'node:fs'
import { open, realpath, type FileHandle } from 'node:fs/promises'
import path from 'node:path'

const MAX_NAME = 400
/** Bytes: block numbers of 16 bits come round long before, which all clients of today know. */
const MAX_FILE = 4 * 1024 * 1024 * 1024
/** Bytes of a file that is sent as text. */
const MAX_TEXT = 1024 * 1024

export interface ServedFile {
  /** Bytes. */
  size: number
  /** Fewer where it ends, or became shorter. Rejects where it cannot be read. */
  read(offset: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

export type Refused = 'not found' | 'refused' | 'too large'

/**
 * A file of the folder, by its path in it; backslashes are as good as slashes. Regular files only.
 * @param asText line ends as netascii has them (RFC 764): CR LF, and CR NUL for a lone CR
 */
export async function openIn(folder: string, name: string, asText: boolean): Promise<ServedFile | Refused> {
  const parts = name
    .replaceAll('\\', '/')
    .split('/')
    .filter((part) => part !== '' && part !== '.')
  if (parts.length === 0 || name.length > MAX_NAME || name.includes('\0')) return 'not found'
  // A colon names drives and hidden streams in Windows.
  if (parts.some((part) => part === '..' || (process.platform === 'win32' && part.includes(':')))) return 'refused'
  let handle: FileHandle | null = null
  try {
    const root = await realpath(folder)
    const real = await realpath(path.join(root, ...parts))
    if (!real.startsWith(root.endsWith(path.sep) ? root : root + path.sep)) return 'refused'
    // Not waiting: a pipe without a writer would hold a thread for ever.
    handle = await open(real, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
    const stats = await handle.stat()
    const refused = refusalOf(stats, asText)
    if (!refused) return asText ? await readAsText(handle, stats.size) : served(handle, stats.size)
    await handle.close()
    return refused
  } catch (error) {
    await handle?.close().catch(() => {})
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'not found' : 'refused'
  }
}

function refusalOf(stats: Stats, asText: boolean): Refused | null {
  if (!stats.isFile()) return 'refused'
  return stats.size > (asText ? MAX_TEXT : MAX_FILE) ? 'too large' : null
}

function served(handle: FileHandle, size: number): ServedFile {
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length)
      let filled = 0
      while (filled < length) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return bytes.subarray(0, filled)
    },
    close: () => handle.close(),
  }
}

async function readAsText(handle: FileHandle, size: number): Promise<ServedFile> {
  const file = served(handle, size)
  const plain = await file.read(0, size)
  await handle.close()
  const [LF, CR] = [10, 13]
  const text: number[] = []
  for (const byte of plain) {
    if (byte === LF) text.push(CR)
    text.push(byte)
    if (byte === CR) text.push(0)
  }
  const bytes = Uint8Array.from(text)
  return { size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length), close: async () => {} }
}
