/** The disks of a machine that runs, for tidying up (tidy.ts): those of its own folder. */
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { bundlePaths } from '../library/bundle.ts'
import type { Session } from '../machines/running/session.ts'
import type { DisksInUse } from './tidy.ts'

/** @throws AppError, or the system's reason where a file is not there */
export async function disksInUse(bundle: string, session: Session): Promise<DisksInUse> {
  const folder = await realpath(bundlePaths(bundle).disks).catch(() => join(bundle, 'disks'))
  const written: { drive: string; path: string; format: DisksInUse['written'][number]['format'] }[] = []
  for (const { id, kind, readOnly, path, format } of session.spec?.drives ?? []) {
    const real = kind !== 'disk' || readOnly || path === null ? null : await realpath(path).catch(() => null)
    if (real !== null && dirname(real) === folder) written.push({ drive: id, path: real, format })
  }
  return { written, merge: (drive, merge, context) => session.mergeDisk(drive, merge, context) }
}
