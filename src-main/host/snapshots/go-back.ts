/**
 * Going back to a snapshot, of a machine at rest. Theory of operation: new files go on from the snapshot's frozen disks, and machine.json names them by one
 * rename; the snapshot's memory, where it has one, stands ready before and becomes the machine's suspended state after. A memory that does not belong to the
 * state that machine.json names is refused by its record, so that a crash in between never mixes the two. What the machine was before, and no snapshot
 * keeps, is deleted last.
 */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { bundlePaths } from '../library/bundle.ts'
import { suspendRecordSchema, type SuspendRecord } from '../library/suspend-record.ts'
import { HARDWARE } from '../machines/edit-machine.ts'
import { commitSuspended, driveStamps, removeSuspended, writeSuspendRecord } from '../machines/suspended-state.ts'
import { putBackFirmware } from './firmware-state.ts'
import { shareFile } from './freeze.ts'
import { makeOverlays, type SnapshotParts } from './machine-at-rest.ts'
import { namedFiles, ownDisks, withOverlays } from './own-disks.ts'
import { readSnapshots, snapshotPaths } from './snapshot-files.ts'

/**
 * @returns whether the machine is suspended now, to go on from where it was
 * @throws AppError `not-found`, `corrupt`, `no-space`, or the system's reason; the machine then is as it was, or as it was in the snapshot
 */
export async function goBack(bundle: string, config: MachineConfig, id: string, parts: SnapshotParts): Promise<boolean> {
  const snapshots = await readSnapshots(bundle)
  const snapshot = snapshots.find((one) => one.id === id)
  if (!snapshot) throw new AppError('not-found', 'There is no such snapshot (any more).', { subject: id })
  const { folder, firmware } = snapshotPaths(bundle, id)
  let files: string[] = []
  try {
    const disks = ownDisks(snapshot.config)
    const overlays = await makeOverlays(bundle, disks, newId(), parts.storage)
    files = [...overlays.values()]
    const next = restored(config, snapshot, overlays)
    if (snapshot.memory) await readyMemory(bundle, folder, next, id)
    await parts.library.writeConfig(bundle, next)
    files = []
    if (snapshot.memory) await commitSuspended(bundle)
    else await removeSuspended(bundle)
    await putBackFirmware(firmware, bundlePaths(bundle).firmware)
    const named = namedFiles(next, snapshots)
    for (const { path } of ownDisks(config)) if (!named.has(path)) await rm(join(bundle, path), { force: true })
    return snapshot.memory !== null
  } catch (error) {
    await Promise.all(files.map((path) => rm(join(bundle, path), { force: true }).catch(() => {})))
    throw asAppError(error, `Going back to “${snapshot.label}”`)
  } finally {
    await parts.library.refresh(bundle)
  }
}

/** Its hardware is the snapshot's; what people call it and say of it stays. */
function restored(config: MachineConfig, { id, config: was }: Snapshot, overlays: ReadonlyMap<string, string>): MachineConfig {
  const hardware = Object.fromEntries(HARDWARE.map((field) => [field, was[field]]))
  return { ...config, ...hardware, drives: withOverlays(was.drives, overlays), point: { snapshot: id, otherwise: id } }
}

async function readyMemory(bundle: string, snapshot: string, next: MachineConfig, id: string): Promise<void> {
  const { suspendNew } = bundlePaths(bundle)
  await rm(suspendNew, { recursive: true, force: true })
  await mkdir(suspendNew)
  await shareFile(join(snapshot, 'memory'), join(suspendNew, 'memory'))
  const kept = await readRecord(join(snapshot, 'suspend.json'))
  await writeSuspendRecord(bundle, { ...kept, drives: await driveStamps(bundle, next), points: [id] }, suspendNew)
}

async function readRecord(path: string): Promise<SuspendRecord> {
  const parsed = suspendRecordSchema.safeParse(JSON.parse(await readFile(path, 'utf8')))
  if (!parsed.success)
    throw new AppError('corrupt', `“${path}” is not valid: what the machine was doing cannot be gone on with.`, {
      subject: path,
      technical: parsed.error.message,
    })
  return parsed.data
}
