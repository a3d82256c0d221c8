/**
 * Taking a snapshot of a machine at rest. Theory of operation: the disks stay where they are and are written no more; the machine goes on in new files
 * that rest on them. In this order:
 *
 *     1. the new files, empty: nobody knows them yet
 *     2. the suspended state, where there is one, may go on with either files from now on
 *     3. machine.json names the new files, and the snapshot that is about to be: by one rename
 *     4. the snapshot's folder takes its name: now it exists
 *
 * A crash before 3 leaves files that nobody names, one after it a machine that is what it was, with one file more below it; both are tidied up later.
 */
import { link, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { MAX_SNAPSHOTS, type Snapshot } from '../../../src-shared/model/snapshot.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { bundlePaths } from '../library/bundle.ts'
import type { SuspendRecord } from '../library/suspend-record.ts'
import { placeCopy } from '../machines/boot-files.ts'
import { driveStamps, writeSuspendRecord } from '../machines/suspended-state.ts'
import { copyFirmware } from './firmware-state.ts'
import { makeOverlays, type SnapshotParts } from './machine-at-rest.ts'
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
  const snapshots = await readSnapshots(bundle)
  const refused = obstacles(config)
  if (refused.length > 0) throw new AppError('invalid-input', refused.join(' '))
  if (snapshots.length >= MAX_SNAPSHOTS)
    throw new AppError('invalid-input', `“${config.name}” has ${MAX_SNAPSHOTS} snapshots, which is the most. Delete some first.`)
  const id = newId()
  const parent = currentOf(config, snapshots)
  const memory = wish.memory && suspended ? suspended : null
  let overlays = new Map<string, string>()
  let draft: SnapshotDraft | null = null
  let switched = false
  try {
    draft = await draftSnapshot(bundle)
    await fillDraft(draft, bundle, memory, wish.picture)
    overlays = await makeOverlays(bundle, ownDisks(config), id, parts.storage)
    const next: MachineConfig = {
      ...config,
      drives: withOverlays(config.drives, overlays),
      point: { snapshot: id, otherwise: parent },
    }
    if (suspended) await allowEither(bundle, suspended, next, parent, id)
    await parts.library.writeConfig(bundle, next)
    switched = true
    const snapshot: Snapshot = {
      ...{ schema: 1, id, parent, label: wish.label, note: wish.note, created: new Date().toISOString(), pinned: false, config },
      memory: memory?.header.engine ?? null,
    }
    await draft.commit(snapshot)
    return id
  } catch (error) {
    await draft?.abandon()
    if (!switched) await Promise.all([...overlays.values()].map((path) => unlink(join(bundle, path)).catch(() => {})))
    throw asAppError(error, `Taking a snapshot of “${config.name}”`)
  } finally {
    await parts.library.refresh(bundle)
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
    await shareFile(bundlePaths(bundle).memory, paths.memory)
    await writeFileAtomic(paths.record, `${JSON.stringify(memory, null, 2)}\n`)
  }
  if (picture) await writeFileAtomic(paths.picture, picture)
  await copyFirmware(bundlePaths(bundle).firmware, paths.firmware)
}

/** A hard link; a copy where there can be none. */
export async function shareFile(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => placeCopy(from, to))
}

/** The suspended state goes with the machine as it is, and as it will be in a moment. */
async function allowEither(bundle: string, record: SuspendRecord, next: MachineConfig, parent: string | null, id: string): Promise<void> {
  const drives = [...record.drives, ...(await driveStamps(bundle, { drives: next.drives }))]
  await writeSuspendRecord(bundle, {
    ...record,
    drives: distinct(drives),
    points: [...new Set([...(record.points ?? [parent]), parent, id])],
  })
}

function distinct<T>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()]
}
