/**
 * Taking a snapshot of a machine at rest. Theory of operation: the disks stay where they are and are written no more; the machine goes on in new files
 * that rest on them. In this order:
 *
 *     1. the new files, empty, and all of the snapshot's folder under another name: nobody knows them yet
 *     2. the suspended state, where there is one, may go on with either files from now on
 *     3. machine.json names the new files, and the snapshot that is about to be: by one rename
 *     4. the snapshot's folder takes its name: now it exists
 *
 * A crash before 3 leaves files that nobody names, one after it a machine that is what it was, with one file more below it; both are tidied up later.
 */
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Run } from '../../../src-shared/model/run.ts'
import { MAX_SNAPSHOTS, type Snapshot, type SnapshotMaker } from '../../../src-shared/model/snapshot.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { bundlePaths } from '../library/bundle.ts'
import type { SuspendRecord } from '../library/suspend-record.ts'
import { placeShared } from '../machines/making/boot-files.ts'
import { driveStamps, matchingStamps, writeSuspendRecord } from '../machines/suspend/suspended-state.ts'
import { copyFirmware } from './firmware-state.ts'
import { makeOverlays, removeOverlays, type SnapshotParts } from './machine-at-rest.ts'
import { obstacles, ownDisks, withOverlays } from './own-disks.ts'
import { draftSnapshot, readSnapshots, type SnapshotDraft } from './snapshot-files.ts'
import { currentOf } from './tree.ts'

export interface SnapshotWish {
  label: string
  note: string
  /** What the machine was doing is kept, where it is suspended. */
  memory: boolean
  /** PNG; null: it was off. */
  picture: Uint8Array | null
  by: SnapshotMaker
  /** It is the beginning of a trial. */
  trial?: Run['end']
}

/**
 * @param suspended of a machine that is
 * @returns the snapshot's id
 * @throws AppError `invalid-input` where this machine cannot have one, `no-space`, or the system's reason; the machine then is as it was
 */
export async function freeze(
  bundle: string,
  config: MachineConfig,
  suspended: SuspendRecord | null,
  wish: SnapshotWish,
  parts: SnapshotParts,
): Promise<string> {
  const { snapshot, next: withDisks } = await newSnapshot(bundle, config, wish)
  const { id, parent } = snapshot
  const memory = wish.memory && suspended ? suspended : null
  let overlays = new Map<string, string>()
  let draft: SnapshotDraft | null = null
  let switched = false
  try {
    draft = await draftSnapshot(bundle)
    await fillDraft(draft, bundle, memory, wish.picture)
    overlays = await makeOverlays(bundle, ownDisks(config), id, parts.storage)
    const next = withDisks(overlays)
    await draft.describe({ ...snapshot, memory: memory?.header.engine ?? null })
    if (suspended) await allowEither(bundle, config, suspended, next, parent)
    await parts.library.writeConfig(bundle, next)
    switched = true
    await draft.commit(id)
    return id
  } catch (error) {
    await draft?.abandon()
    // The machine has not moved: it can have its own files back.
    if (switched)
      switched = await parts.library.writeConfig(bundle, config).then(
        () => false,
        () => true,
      )
    if (!switched) await removeOverlays(bundle, overlays)
    throw asAppError(error, `Taking a snapshot of “${config.name}”`)
  } finally {
    await parts.library.refresh(bundle)
  }
}

export interface NewSnapshot {
  snapshot: Omit<Snapshot, 'memory'>
  /** The machine when it goes on from there. @param overlays relative paths, by drive */
  next(overlays: ReadonlyMap<string, string>): MachineConfig
}

/**
 * A snapshot that is about to be.
 * @throws AppError `invalid-input` where this machine cannot have one, `corrupt` where another of its snapshots cannot be read
 */
export async function newSnapshot(bundle: string, config: MachineConfig, wish: Omit<SnapshotWish, 'picture'>): Promise<NewSnapshot> {
  const snapshots = await readSnapshots(bundle)
  const refused = obstacles(config)
  if (refused.length > 0) throw new AppError('invalid-input', refused.join(' '))
  if (snapshots.length >= MAX_SNAPSHOTS)
    throw new AppError('invalid-input', `“${config.name}” has ${MAX_SNAPSHOTS} snapshots, which is the most. Delete some first.`)
  const id = newId()
  const parent = currentOf(config, snapshots)
  const { label, note, by, trial } = wish
  return {
    snapshot: { ...{ schema: 1, id, parent, label, note, created: new Date().toISOString(), pinned: false, config }, by },
    next: (overlays) => ({
      ...config,
      drives: withOverlays(config.drives, overlays),
      point: { snapshot: id, otherwise: parent },
      ...(trial ? { run: { end: trial, snapshot: id, own: true, over: false } } : {}),
    }),
  }
}

/** What the snapshot keeps beside the disks. Memory is never written in place, so that the snapshot and the machine may share one file. */
async function fillDraft(
  { paths }: SnapshotDraft,
  bundle: string,
  memory: SuspendRecord | null,
  picture: Uint8Array | null,
): Promise<void> {
  if (memory) {
    await placeShared(bundlePaths(bundle).memory, paths.memory)
    await writeFileAtomic(paths.record, `${JSON.stringify(memory, null, 2)}\n`)
  }
  if (picture) await writeFileAtomic(paths.picture, picture)
  await copyFirmware(bundlePaths(bundle).firmware, paths.firmware)
}

/** The suspended state goes with the machine as it is, and as it will be in a moment; what it went with earlier is forgotten. */
async function allowEither(
  bundle: string,
  config: MachineConfig,
  record: SuspendRecord,
  next: MachineConfig,
  parent: string | null,
): Promise<void> {
  const [drives, after] = await Promise.all([matchingStamps(bundle, config, record), driveStamps(bundle, next)])
  const now = config.point?.snapshot ?? null
  const points = new Set([...(record.points?.includes(now) === false ? record.points : [now, parent]), next.point!.snapshot])
  await writeSuspendRecord(bundle, { ...record, drives: distinct([...drives, ...after]), points: [...points] })
}

function distinct<T>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()]
}
