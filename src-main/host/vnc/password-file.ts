/**
 * The VNC password of a machine: a file of its bundle, which moves with it, and which only its owner can read. It stands apart from machine.json because
 * that is shown, compared, copied into duplicates and sent to every window.
 */
import { chmod, lstat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { vncPasswordSchema } from '../../../src-shared/model/vnc.ts'
import { readLimited } from '../files/read-json.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { bundlePaths, refuseLinks } from '../library/bundle.ts'

const OWNER_ONLY = 0o600
/** Bytes; larger files are not ours. */
const MAX_BYTES = 64

/** @throws AppError by the system's reason */
export async function writeVncPassword(bundle: string, password: string): Promise<void> {
  await writeFileAtomic(bundlePaths(bundle).vncPassword, `${password}\n`, OWNER_ONLY)
}

/**
 * @returns null where none was set
 * @throws AppError `denied` where others can read it and that cannot be mended, `corrupt` where it is no VNC password
 */
export async function readVncPassword(bundle: string): Promise<string | null> {
  const path = bundlePaths(bundle).vncPassword
  await refuseLinks([path])
  try {
    if (process.platform !== 'win32') await closeToOthers(path)
    const parsed = vncPasswordSchema.safeParse(new TextDecoder().decode(await readLimited(path, MAX_BYTES)).replace(/\r?\n$/, ''))
    if (parsed.success) return parsed.data
  } catch (error) {
    const known = asAppError(error, 'Reading the VNC password')
    if (known.code === 'not-found') return null
    throw known
  }
  throw new AppError('corrupt', `“${path}” holds no VNC password. Set a new one.`, { subject: path })
}

/** A copy of a bundle may have lost the permissions. Some file systems know none. */
async function closeToOthers(path: string): Promise<void> {
  const open = async (): Promise<boolean> => ((await lstat(path)).mode & 0o077) !== 0
  if (!(await open())) return
  await chmod(path, OWNER_ONLY).catch(() => {})
  if (await open())
    throw new AppError(
      'denied',
      'Other users of this computer can read the machine’s VNC password, because its disk keeps no permissions. Move the machine to another disk to offer its screen.',
      { subject: path },
    )
}
