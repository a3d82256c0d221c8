/** A file system of limited size, for tests of full disks. */
import { execFile } from 'node:child_process'
import { mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onTestFinished, type TestContext } from 'vitest'
import { tempFolder } from './temp-folder.ts'

const run = promisify(execFile)

/** @returns its folder; skips the test where this user or system cannot mount one */
export async function smallDisk(context: TestContext, mebibytes: number): Promise<string> {
  const folder = join(await tempFolder(), 'small')
  await mkdir(folder)
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder])
  } catch {
    context.skip('a file system of limited size cannot be mounted here')
  }
  onTestFinished(async () => void (await run('umount', [folder])))
  return folder
}

/** Takes all the room that is left. @returns gives it back */
export async function fillDisk(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, '.filler')
  const file = await open(path, 'w')
  for (let bytes = 64 * 1024; bytes >= 1; bytes /= 2) {
    try {
      while ((await file.write(new Uint8Array(bytes))).bytesWritten > 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  await file.close()
  return () => unlink(path)
}
