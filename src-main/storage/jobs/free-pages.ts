/**
 * Gives back the room of pages of memory that no state of a machine needs any more: packs of which none is needed are deleted, others get holes. Done again, or
 * ended in the middle, it changes nothing else.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { deleteUnneeded } from '../../files/pages/memory-packs.ts'
import { unneededRuns } from '../../files/pages/unneeded-pages.ts'
import { openHoles } from '../file/holes/open-holes.ts'

/**
 * While no state of this machine is written or read. What cannot be given back stays, which the log says.
 * @param folder of the packs; @param memories every memory file of the machine, there or not
 */
export async function freePages(folder: string, memories: readonly string[]): Promise<void> {
  try {
    await deleteUnneeded(folder, memories)
    await punchUnneeded(folder, memories)
  } catch (error) {
    console.error(`Pages of memory that nobody may need stay: ${asAppError(error).message}`)
  }
}

/** @throws AppError where a memory file or a pack cannot be read; there are no new holes then */
async function punchUnneeded(folder: string, memories: readonly string[]): Promise<void> {
  for (const [path, runs] of await unneededRuns(folder, memories)) {
    if (runs.length === 0) continue
    try {
      await using file = await open(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0))
      const holes = await openHoles({ file, path, readOnly: false })
      try {
        for (const { start, end } of runs) if (!(await holes.punch(start, end))) break
      } finally {
        await holes.close()
      }
    } catch (error) {
      throw asAppError(error, `Giving back room of “${path}”`)
    }
  }
}
