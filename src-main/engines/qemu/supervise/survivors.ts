/** What hosts of before left in the runtime folders: machines that still run, and folders of machines that do not. */
import { stat } from 'node:fs/promises'
import { isSameProcess } from '../../../process/process-start.ts'
import { machineFolders } from '../../../process/machine-folders.ts'
import type { RuntimePlaces } from '../../../process/private-folder.ts'
import { endHalfStarted } from './half-started.ts'
import { mayLive, readRecord, removeMachineFolder, type MachineRecord } from './machine-folder.ts'

export interface Found {
  folder: string
  record: MachineRecord
}

/** A folder without a record that is younger, ms, belongs to a machine that is being started. */
const YOUNG = 60_000

/** Every machine of this user whose process lives, of this host or another; the folders of dead ones are removed. */
export async function findSurvivors(places: RuntimePlaces = {}, now = Date.now()): Promise<Found[]> {
  const found: Found[] = []
  for (const folder of await machineFolders(places)) {
    const record = await readRecord(folder)
    if (record && (await isSameProcess(record.pid, record.start))) found.push({ folder, record })
    else if (record || (((await endHalfStarted(folder)) || (await age(folder, now)) > YOUNG) && !(await mayLive(folder))))
      await removeMachineFolder(folder).catch(() => {})
  }
  return found
}

async function age(folder: string, now: number): Promise<number> {
  return stat(folder).then(
    ({ mtimeMs }) => now - mtimeMs,
    () => 0,
  )
}
