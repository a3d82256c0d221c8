/**
 * Going back to a snapshot. Theory of operation: new files go on from the snapshot's frozen disks; they, and whatever else the machine will have, are made
 * while it may still run (`readyReturn`), so that a snapshot that cannot be gone back to costs nothing. Then, at rest, machine.json names them by one
 * rename, and what stands ready is switched in; a crash in between is ended by the next host (returning.ts). What the machine was before, and no
 * snapshot keeps, is deleted last.
 */
import { mkdir, realpath, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { checkPacks, packsOf } from '../../files/pages/memory-packs.ts'
import { readJson } from '../files/read-json.ts'
import { bundlePaths, refuseLinks } from '../library/bundle.ts'
import { MAX_SUSPEND_RECORD_BYTES, suspendRecordSchema, type SuspendRecord } from '../library/suspend-record.ts'
import { placeShared } from '../machines/making/boot-files.ts'
import { HARDWARE } from '../machines/making/edit-machine.ts'
import { driveStamps, writeSuspendRecord } from '../machines/suspend/suspended-state.ts'
import { copyFirmware } from './firmware-state.ts'
import { makeOverlays, removeOverlays, type SnapshotParts } from './machine-at-rest.ts'
import { namedFiles, ownDisks, withOverlays } from './own-disks.ts'
import { endReturning, returnPaths, writeReturnPlan } from './returning.ts'
import { readSnapshots, snapshotPaths } from './snapshot-files.ts'

/**
 * Of a machine at rest.
 * @param run what is left to do of its trial then; null: it is on none
 * @returns whether the machine is suspended now, to go on from where it was
 * @throws AppError `not-found`, `corrupt`, `no-space`, or the system's reason; the machine then is as it was, or as it was in the snapshot
 */
export async function goBack(
  bundle: string,
  config: MachineConfig,
  id: string,
  parts: SnapshotParts,
  run: MachineConfig['run'] = null,
): Promise<boolean> {
  const snapshots = await readSnapshots(bundle)
  const snapshot = snapshots.find((one) => one.id === id)
  if (!snapshot) throw noSuchSnapshot(id)
  let now = config
  try {
    await ready(bundle, { ...config, run }, snapshot, parts, async (next, firmware) => {
      const named = namedFiles(next, snapshots)
      const elsewhere = await parts.neededElsewhere(bundle)
      const root = await realpath(bundle)
      const gone = ownDisks(config).flatMap(({ path }) => (named.has(path) || elsewhere.has(join(root, path)) ? [] : [path]))
      await writeReturnPlan(bundle, { schema: 1, config: next, memory: snapshot.memory !== null, firmware, gone })
      await parts.library.writeConfig(bundle, next)
      now = next
    })
    await endReturning(bundle, now)
    return snapshot.memory !== null
  } catch (error) {
    throw asAppError(error, `Going back to “${snapshot.label}”`)
  } finally {
    await parts.library.refresh(bundle)
  }
}

/**
 * Whether this snapshot can be gone back to, found by making what is needed for it and deleting that again. The machine may run.
 * @throws AppError as goBack
 */
export async function rehearse(bundle: string, config: MachineConfig, snapshot: Snapshot, parts: SnapshotParts): Promise<void> {
  try {
    const overlays = await ready(bundle, config, snapshot, parts, () => Promise.resolve())
    await removeOverlays(bundle, overlays)
  } catch (error) {
    throw asAppError(error, `Going back to “${snapshot.label}”`)
  } finally {
    await rm(returnPaths(bundle).folder, { recursive: true, force: true })
  }
}

/** @param use has everything ready; where it fails, nothing of it is left */
async function ready(
  bundle: string,
  config: MachineConfig,
  snapshot: Snapshot,
  { storage }: SnapshotParts,
  use: (next: MachineConfig, firmware: boolean) => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const from = snapshotPaths(bundle, snapshot.id)
  const to = returnPaths(bundle)
  let overlays: ReadonlyMap<string, string> = new Map()
  try {
    await rm(to.folder, { recursive: true, force: true })
    await mkdir(to.folder)
    await refuseLinks([from.memory, from.record, from.firmware])
    overlays = await makeOverlays(bundle, ownDisks(snapshot.config), newId(), storage)
    const next = restored(config, snapshot, overlays)
    if (snapshot.memory) await readyMemory(bundle, next, snapshot)
    await use(next, await copyFirmware(from.firmware, to.firmware))
    return overlays
  } catch (error) {
    await removeOverlays(bundle, overlays)
    await rm(to.folder, { recursive: true, force: true }).catch(() => {})
    throw error
  }
}

/** Its hardware is the snapshot's; what people call it and say of it stays. */
function restored(config: MachineConfig, { id, config: was }: Snapshot, overlays: ReadonlyMap<string, string>): MachineConfig {
  const hardware = Object.fromEntries(HARDWARE.map((field) => [field, was[field]]))
  return { ...config, ...hardware, drives: withOverlays(was.drives, overlays), point: { snapshot: id, otherwise: id } }
}

async function readyMemory(bundle: string, next: MachineConfig, { id }: Snapshot): Promise<void> {
  const { memory, record } = snapshotPaths(bundle, id)
  const { suspend } = returnPaths(bundle)
  const kept = await readRecord(record)
  const { size } = await stat(memory)
  if (size !== kept.header.bytes)
    throw new AppError('corrupt', `“${memory}” has ${size} bytes, and should have ${kept.header.bytes}. Put the file back from a copy.`, {
      subject: memory,
    })
  if (kept.header.format === 2) await checkPacks(bundlePaths(bundle).pages, await packsOf(memory))
  await mkdir(suspend)
  await placeShared(memory, join(suspend, 'memory'))
  await writeSuspendRecord(bundle, { ...kept, drives: await driveStamps(bundle, next), points: [id] }, suspend)
}

async function readRecord(path: string): Promise<SuspendRecord> {
  const parsed = suspendRecordSchema.safeParse(await readJson(path, MAX_SUSPEND_RECORD_BYTES))
  if (!parsed.success)
    throw new AppError('corrupt', `“${path}” is not valid: what the machine was doing cannot be gone on with.`, {
      subject: path,
      technical: parsed.error.message,
    })
  return parsed.data
}

export function noSuchSnapshot(id: string): AppError {
  return new AppError('not-found', 'There is no such snapshot (any more).', { subject: id })
}
