/** The private folders of QEMU machines that run or ran, also for those who only ask whether there are any. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { privateBases, type RuntimePlaces } from './private-folder.ts'

/** How their names begin; 8 hexadecimal digits follow. */
export const MACHINE_FOLDER_PREFIX = 'vm-'
const NAME = new RegExp(`^${MACHINE_FOLDER_PREFIX}[0-9a-f]{8}$`)

/** Absolute paths, of this user's machines of all libraries. */
export async function machineFolders(places: RuntimePlaces = {}): Promise<string[]> {
  const folders: string[] = []
  for (const base of await privateBases(places)) {
    const names = await readdir(base).catch(() => [])
    folders.push(...names.filter((name) => NAME.test(name)).map((name) => join(base, name)))
  }
  return folders
}
