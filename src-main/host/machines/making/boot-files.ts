/** Puts files into a bundle without copying their bytes where the file system allows that. */
import { constants } from 'node:fs'
import { copyFile, link, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asAppError } from '../../../../src-shared/errors/app-error.ts'

/** A hard link for a file that nobody writes to any more; a copy where links are not possible. */
export async function placeShared(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  try {
    await link(from, to)
  } catch {
    await placeCopy(from, to)
  }
}

/** A copy, on disk when it resolves; sharing blocks where the file system can (reflink). */
export async function placeCopy(from: string, to: string): Promise<void> {
  try {
    await mkdir(dirname(to), { recursive: true })
    await copyFile(from, to, constants.COPYFILE_FICLONE)
    // Windows forces to disk only what is open for writing; elsewhere a read-only copy must do too.
    const file = await open(to, process.platform === 'win32' ? 'r+' : 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    throw asAppError(error, `Copying “${from}”`)
  }
}
