/** Which system's calls make holes here. Where none can be had, nothing is missing but room on the disk. */
import { statfs } from 'node:fs/promises'
import type koffi from 'koffi'
import { NO_HOLES, type HoleFile, type Holes } from './holes.ts'
import { linuxCalls, linuxHoles } from './linux.ts'
import { macCalls, macHoles } from './macos.ts'
import { windowsCalls, windowsHoles } from './windows.ts'

type OpenHoles = (file: HoleFile) => Promise<Holes>

/** Of this thread; loaded with the first file that needs it (about 20 ms). */
let here: Promise<OpenHoles> | null = null

/** @param file must stay open until the holes are closed */
export async function openHoles(file: HoleFile): Promise<Holes> {
  here ??= holesOf(process.platform, async () => (await import('koffi')).default)
  return (await here)(file)
}

/** Never rejects: where `load` or the system's library fails, the reason goes to the log. */
export async function holesOf(platform: NodeJS.Platform, load: () => Promise<typeof koffi>): Promise<OpenHoles> {
  try {
    return HOLES[platform]?.(await load()) ?? none
  } catch (error) {
    console.error(`Holes cannot be made in disk images, so these take more room than they need to: ${(error as Error).message}`)
    return none
  }
}

const none: OpenHoles = () => Promise.resolve(NO_HOLES)

const HOLES: Partial<Record<NodeJS.Platform, (library: typeof koffi) => OpenHoles>> = {
  linux(library) {
    const calls = linuxCalls(library)
    return (file) => Promise.resolve(linuxHoles(calls, file))
  },
  darwin(library) {
    const calls = macCalls(library)
    return async (file) => {
      const volume = await statfs(file.path).catch(() => null)
      return volume ? macHoles(calls, file, volume.bsize) : NO_HOLES
    }
  },
  win32(library) {
    const calls = windowsCalls(library)
    return async (file) => (await windowsHoles(calls, file)) ?? NO_HOLES
  },
}
