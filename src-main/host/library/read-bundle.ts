/** Reading one bundle: hostile until parsed. Nothing in it is ever changed by reading. */
import { lstat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { parseMachineConfig, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { readJson } from '../files/read-json.ts'
import { bundlePaths, CONFIG_FILE, MAX_CONFIG_BYTES, SUSPEND_FOLDER } from './bundle.ts'
import { MAX_SUSPEND_RECORD_BYTES, suspendRecordSchema, type SuspendRecord } from './suspend-record.ts'

/** A bundle as it is on disk, not yet compared with the others. Exactly one of `config` and `problem` is null. */
export interface BundleContent {
  /** Absolute path. */
  folder: string
  inLibrary: boolean
  config: MachineConfig | null
  problem: AppError | null
  suspended: Suspended | null
}

/** It has a memory state. `record` is null where that cannot be used; `problem` says why. */
export type Suspended = { record: SuspendRecord; problem: null } | { record: null; problem: AppError }

/** Never rejects: what is wrong is the content's `problem`. Null where there is no such folder (any more). */
export async function readBundle(folder: string, inLibrary: boolean): Promise<BundleContent | null> {
  const content: BundleContent = { folder, inLibrary, config: null, problem: null, suspended: null }
  try {
    content.config = await readConfig(folder)
    content.suspended = await readSuspended(folder)
  } catch (error) {
    const stats = await lstat(folder).catch(() => null)
    if (stats === null) return null
    content.problem = stats.isSymbolicLink()
      ? new AppError('denied', 'This is a link to a folder elsewhere. Open the folder that it points to instead.', { subject: folder })
      : asAppError(error, 'Reading machine.json')
  }
  return content
}

async function readConfig(folder: string): Promise<MachineConfig> {
  const path = bundlePaths(folder).config
  const [outer, file] = await Promise.all([lstat(folder), lstat(path)])
  if (outer.isSymbolicLink() || file.isSymbolicLink())
    throw new AppError('denied', `${CONFIG_FILE} is a link. A machine’s files must stand in its bundle.`, { subject: path })
  return parseMachineConfig(await readJson(path, MAX_CONFIG_BYTES))
}

async function readSuspended(folder: string): Promise<Suspended | null> {
  const path = bundlePaths(folder).suspendRecord
  try {
    const parsed = suspendRecordSchema.safeParse(await readJson(path, MAX_SUSPEND_RECORD_BYTES))
    if (parsed.success) return { record: parsed.data, problem: null }
    throw new AppError('corrupt', `${SUSPEND_FOLDER}/suspend.json is not valid.`, { technical: parsed.error.message })
  } catch (error) {
    const known = asAppError(error)
    if (known.code === 'not-found' || known.code === 'invalid-input') return null
    const problem = new AppError(
      'corrupt',
      `The suspended state cannot be read: ${known.message} Discard it to start the machine afresh.`,
      { subject: path },
      known,
    )
    return { record: null, problem }
  }
}
