/** Opens the file of an image for a look at its metadata, also while somebody writes it. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { blockDeviceSize } from '../formats/raw/device-size.ts'
import { byteFile } from './open-byte-file.ts'
import type { LockedFile } from './open-locked.ts'

/** Without it, opening a named pipe would wait for its other end for ever. Absent on Windows. */
const NONBLOCK = constants.O_NONBLOCK ?? 0

/** For reading alone. @throws the system's reason */
export async function openUnlocked(path: string): Promise<LockedFile> {
  const handle = await open(path, constants.O_RDONLY | NONBLOCK)
  try {
    const stats = await handle.stat()
    const size = stats.isFile() ? stats.size : await blockDeviceSize(handle)
    return { file: byteFile(handle, path, size, true), identity: `${stats.dev}:${stats.ino}` }
  } catch (error) {
    await handle.close()
    throw error
  }
}
