/** For tests of the built product: brings out/ up to date, which costs nothing when it is. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'

export const ROOT = path.resolve(import.meta.dirname, '../..')

export async function ensureBuilt(): Promise<void> {
  await promisify(execFile)(process.execPath, [path.join(ROOT, 'bin/build.mjs')], { cwd: ROOT })
}
