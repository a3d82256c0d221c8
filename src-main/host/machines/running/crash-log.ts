/** logs/crashes.log of a bundle: why the machine's engine died, kept with the machine. */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { KiB } from '../../../../src-shared/base/units.ts'
import type { AppError } from '../../../../src-shared/errors/app-error.ts'
import { bundlePaths, refuseLinks } from '../../library/bundle.ts'

export const CRASH_LOG = 'crashes.log'
/** Bytes after which the log becomes `crashes.log.1`. */
const MAX_BYTES = 256 * KiB

/** Best effort: the machine is gone already, and the host's own log has it too. */
export async function writeCrash(bundle: string, error: AppError, now = new Date()): Promise<void> {
  const { logs } = bundlePaths(bundle)
  const path = join(logs, CRASH_LOG)
  try {
    await refuseLinks([logs, path])
    // Not recursive: a bundle that was deleted meanwhile does not come back by this.
    await mkdir(logs).catch(() => {})
    const stats = await stat(path).catch(() => null)
    if (stats && stats.size > MAX_BYTES) await rename(path, `${path}.1`)
    const technical = error.toWire().details?.technical
    await appendFile(path, `${now.toISOString()} ${error.message}\n${technical === undefined ? '' : `${technical}\n`}`)
  } catch {
    // Nowhere to write it.
  }
}
