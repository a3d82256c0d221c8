/**
 * A suspended machine's files. Theory of operation: everything is written into `suspend.new/`, forced to disk, and switched in by one
 * rename to `suspend/`; before that rename the machine is not suspended, after it it is, also over a power cut. Resuming takes the state
 * away by renaming its record *before* the guest executes, because from then on its disks move on and the memory state is poison; where
 * the start fails after all, the record is renamed back.
 */
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { Drive, MachineConfig } from '../../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { MemoryHeader } from '../../../../src-shared/threads/engine-thread.ts'
import { syncFolder, writeFileAtomic } from '../../../files/write-file-atomic.ts'
import { bundlePaths } from '../../library/bundle.ts'
import type { DriveStamp, SuspendRecord } from '../../library/suspend-record.ts'
import type { FileFact } from '../../planner/file-fact.ts'
import { memoryOf } from '../../planner/plan-live.ts'
import { fileFact } from '../../planner/probe-files.ts'

const RECORD = 'suspend.json'
const TAKEN = 'resumed.json'
/** There while a machine that ran is paused for its suspend; means nothing any more after the commit. */
const RAN = 'ran'

/**
 * To be called before the machine is paused for this.
 * @param ran it runs, and goes on where the host ends before the commit
 * @throws what the file system says
 */
export async function beginSuspended(bundle: string, ran: boolean): Promise<void> {
  const folder = bundlePaths(bundle).suspendNew
  try {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder)
    if (ran) await writeFile(join(folder, RAN), '')
  } catch (error) {
    throw await whyNotWritten(bundle, error)
  }
}

/** A host ended while it suspended a machine that ran until then, or while it resumed one: the guest is to go on. */
export async function isToGoOn(bundle: string): Promise<boolean> {
  const { suspend, suspendNew } = bundlePaths(bundle)
  const found = await Promise.all([join(suspendNew, RAN), join(suspend, TAKEN)].map((path) => stat(path).catch(() => null)))
  return found.some((stats) => stats !== null)
}

/**
 * Writes the state of a paused machine, up to but not including the commit.
 * @param save writes the memory to the given path, durably
 * @returns the record that was written
 * @throws what `save` or the file system says; `abandonSuspended` then
 */
export async function prepareSuspended(
  bundle: string,
  config: MachineConfig,
  spec: MachineSpec,
  bootedAt: string | null,
  save: (path: string) => Promise<MemoryHeader>,
): Promise<SuspendRecord> {
  const folder = bundlePaths(bundle).suspendNew
  try {
    const header = await save(join(folder, 'memory'))
    const drives = await driveStamps(bundle, config)
    const record: SuspendRecord = { schema: 1, header, bootedAt, drives, points: [config.point?.snapshot ?? null], spec }
    await writeSuspendRecord(bundle, record, folder)
    return record
  } catch (error) {
    throw await whyNotWritten(bundle, error)
  }
}

/** @param folder where the memory stands that it belongs to */
export function writeSuspendRecord(bundle: string, record: SuspendRecord, folder = bundlePaths(bundle).suspend): Promise<void> {
  return writeFileAtomic(join(folder, RECORD), `${JSON.stringify(record, null, 2)}\n`)
}

/** From here on the machine is suspended. */
export async function commitSuspended(bundle: string): Promise<void> {
  const { suspend, suspendNew } = bundlePaths(bundle)
  try {
    await rm(suspend, { recursive: true, force: true })
    await rename(suspendNew, suspend)
  } catch (error) {
    throw await whyNotWritten(bundle, error)
  }
  await syncFolder(bundle)
  await rm(join(suspend, RAN), { force: true }).catch(() => {})
}

/**
 * To be called when the engine has closed the disks: closing may change an image once more (a qcow2 image with lazy reference counts loses its mark of
 * being in use), which must not look like a change by somebody else.
 * @param record of a suspended machine
 */
export async function stampClosed(bundle: string, config: MachineConfig, record: SuspendRecord): Promise<void> {
  const drives = await driveStamps(bundle, config)
  if (!isDeepStrictEqual(drives, record.drives)) await writeSuspendRecord(bundle, { ...record, drives })
}

/** What was begun is not gone on with. */
export async function abandonSuspended(bundle: string): Promise<void> {
  await rm(bundlePaths(bundle).suspendNew, { recursive: true, force: true }).catch(() => {})
}

/** Nothing here makes the bundle's folder: one that was deleted while its machine runs stays deleted. */
async function whyNotWritten(bundle: string, error: unknown): Promise<AppError> {
  const there = await stat(bundle).catch(() => null)
  if (there) return asAppError(error, 'Writing the suspended state')
  const text = `Its bundle “${bundle}” is not there any more. Put it back, or shut the machine down.`
  return new AppError('not-found', text, { subject: bundle }, error)
}

/** The guest is about to execute: the state must not be used again. */
export async function takeSuspended(bundle: string): Promise<void> {
  const { suspend } = bundlePaths(bundle)
  await rename(join(suspend, RECORD), join(suspend, TAKEN))
  await syncFolder(suspend)
}

/** The guest did not execute after all. */
export async function putBackSuspended(bundle: string): Promise<void> {
  const { suspend } = bundlePaths(bundle)
  await rename(join(suspend, TAKEN), join(suspend, RECORD))
}

/** Removes a state, used or thrown away: first the record, by which it counts. */
export async function removeSuspended(bundle: string): Promise<void> {
  const { suspend, suspendRecord, suspendNew } = bundlePaths(bundle)
  try {
    await rm(suspendRecord, { force: true })
    await rm(suspend, { recursive: true, force: true })
    await rm(suspendNew, { recursive: true, force: true })
  } catch (error) {
    throw asAppError(error, 'Removing the suspended state')
  }
}

export async function driveStamps(bundle: string, config: Pick<MachineConfig, 'drives'>): Promise<DriveStamp[]> {
  const stamps = config.drives.map(async (drive) => {
    if (drive.path === null) return []
    const { bytes, modified, inode } = await fileFact(bundle, drive.path)
    return [{ id: drive.id, bytes, modified, inode }]
  })
  return (await Promise.all(stamps)).flat()
}

/** The stamps of a record that the machine's files still have: it gathers none over many snapshots. Those of a drive that has none of its own stay. */
export async function matchingStamps(bundle: string, config: Pick<MachineConfig, 'drives'>, record: SuspendRecord): Promise<DriveStamp[]> {
  const stamps = config.drives.map(async (drive) => {
    const all = record.drives.filter(({ id }) => id === drive.id)
    if (drive.path === null) return all
    const file = await fileFact(bundle, drive.path)
    const matching = all.filter((stamp) => isUnchanged(file, stamp, drive))
    return matching.length > 0 ? matching : all
  })
  return (await Promise.all(stamps)).flat()
}

/**
 * Why a state must not be resumed with this hardware and these files; null where it may be. Pure.
 * @param memoryBytes size of the memory file, null where it is missing
 */
export function suspendedProblem(
  record: SuspendRecord,
  config: MachineConfig,
  files: ReadonlyMap<string, FileFact>,
  memoryBytes: number | null,
): AppError | null {
  const refuse = (reason: string): AppError =>
    new AppError('corrupt', `“${config.name}” cannot be resumed: ${reason} Mend that, or discard the suspended state to start it afresh.`)
  if (memoryBytes === null) return refuse('its memory file is missing.')
  if (memoryBytes !== record.header.bytes)
    return refuse(`its memory file has ${memoryBytes} bytes, and should have ${record.header.bytes}.`)
  if (record.header.machine !== config.id) return refuse('its suspended state belongs to another machine.')
  const memoryMiB = record.spec ? memoryOf(record.spec) : record.header.memoryMiB
  if (memoryMiB !== config.memoryMiB)
    return refuse(`it was suspended with ${memoryMiB} MiB of memory, and now has ${config.memoryMiB} MiB.`)
  if (record.points && !record.points.includes(config.point?.snapshot ?? null))
    return refuse('its suspended state belongs to another snapshot than the one it is at.')
  for (const drive of config.drives) {
    const file = drive.path === null ? undefined : files.get(drive.path)
    const stamps = record.drives.filter(({ id }) => id === drive.id)
    if ((file !== undefined) !== stamps.length > 0) return refuse(`the drive “${drive.id}” was changed since.`)
    if (file && !stamps.some((stamp) => isUnchanged(file, stamp, drive)))
      return refuse(`the file “${file.path}” was changed since, and the guest would overwrite what was changed.`)
  }
  return null
}

/** A copy of the file has the same size; the file itself also the same time of its last change, unless nobody minds one. */
function isUnchanged(file: FileFact, stamp: DriveStamp, { readOnly, kind }: Drive): boolean {
  const changedInPlace = file.inode === stamp.inode && file.modified !== stamp.modified && !readOnly && kind !== 'cdrom'
  return file.bytes === stamp.bytes && !changedInPlace
}
