/** What engines write in a bundle by its path, disks aside: none of it may be a link, which would direct their writing to other files. */
import { join } from 'node:path'
import { bundlePaths, logFiles } from '../../library/bundle.ts'
import { VARIABLES } from '../../planner/qemu-firmware.ts'

/** Absolute paths. @param bundle absolute */
export function writtenFiles(bundle: string): string[] {
  const { firmware, suspend, memory, pages } = bundlePaths(bundle)
  const kept = [...Object.values(VARIABLES), 'tpm'].map((name) => join(firmware, name))
  return [...logFiles(bundle), firmware, ...kept, suspend, memory, pages]
}
