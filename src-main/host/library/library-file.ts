/** library.json: what the library knows beyond the folder's content, namely the bundles that were opened from elsewhere. */
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { readJson } from '../files/read-json.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import type { Log } from '../log/log.ts'

export const LIBRARY_FILE = 'library.json'
const MAX_BYTES = 1024 * 1024
/** Bundles opened from elsewhere that are remembered. */
export const MAX_OPENED = 1000

const libraryFileSchema = z.strictObject({
  schema: z.literal(1),
  /** Absolute paths. */
  opened: z.array(z.string().min(1).max(4096)).max(MAX_OPENED),
})

/** The remembered bundles. A file that cannot be read is kept aside under another name, said so in the log, and counts as empty. */
export async function readOpened(library: string, log: Log): Promise<string[]> {
  const path = join(library, LIBRARY_FILE)
  try {
    return libraryFileSchema.parse(await readJson(path, MAX_BYTES)).opened
  } catch (error) {
    if (asAppError(error).code === 'not-found') return []
    const aside = `${path}.broken-${new Date().toISOString().replaceAll(':', '-')}`
    log.error('library', `${LIBRARY_FILE} cannot be read. It is kept as “${aside}”; machines opened from elsewhere must be opened again.`, {
      error,
    })
    await rename(path, aside).catch(() => {})
    return []
  }
}

export function writeOpened(library: string, opened: readonly string[]): Promise<void> {
  return writeFileAtomic(join(library, LIBRARY_FILE), `${JSON.stringify({ schema: 1, opened }, null, 2)}\n`)
}
