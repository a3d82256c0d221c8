/** Small file operations of the appliance's cache: everything in it appears whole or not at all. */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

export interface FileRecord {
  /** Inside its folder. */
  name: string
  /** Bytes. */
  size: number
  /** Lower-case hex. */
  sha256: string
}

/** A work folder that no crash let go in time is removed after this long, ms. */
const STALE_WORK = 24 * 3600 * 1000

/** Runs `work` with a private folder inside the cache (so that renames out of it are atomic) and removes it afterwards. */
export async function withWorkFolder<T>(cacheFolder: string, work: (folder: string) => Promise<T>): Promise<T> {
  const all = join(cacheFolder, 'work')
  await mkdir(all, { recursive: true })
  for (const name of await readdir(all)) {
    const { mtimeMs } = await stat(join(all, name)).catch(() => ({ mtimeMs: Infinity }))
    if (Date.now() - mtimeMs > STALE_WORK) await rm(join(all, name), { recursive: true, force: true })
  }
  const folder = join(all, randomUUID())
  await mkdir(folder)
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Writes a file and waits until it is on disk. */
export async function writeDurably(folder: string, name: string, data: Uint8Array | string): Promise<FileRecord> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  const file = await open(join(folder, name), 'w', 0o644)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  return { name, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/**
 * Gives a finished folder its final name. Where one of that name is there already (another process was faster, or it is damaged and
 * to be replaced) it is put out of the way first: at once replaced, since others may be reading it, and removed with the work folder.
 * @param from in a work folder
 */
export async function placeFolder(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(from, to)
      return
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (attempt > 3 || !['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES'].includes(code ?? '')) throw error
      await rename(to, `${from}.old${attempt}`).catch(() => {})
    }
  }
}

export async function describeFile(folder: string, name: string): Promise<FileRecord> {
  const hash = createHash('sha256')
  let size = 0
  await pipeline(createReadStream(join(folder, name), { highWaterMark: 1024 * 1024 }), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      size += chunk.length
      hash.update(chunk)
    }
  })
  return { name, size, sha256: hash.digest('hex') }
}

/** True when the file is there and is what the record says. */
export async function isIntact(folder: string, record: FileRecord): Promise<boolean> {
  try {
    if ((await stat(join(folder, record.name))).size !== record.size) return false
    return (await describeFile(folder, record.name)).sha256 === record.sha256
  } catch {
    return false
  }
}
