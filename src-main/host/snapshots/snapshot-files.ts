/**
 * A machine's snapshots on disk: `snapshots/<id>/snapshot.json` with, where the machine ran, its `memory` and the `suspend.json` that goes with it, a
 * picture of its screen, and what its firmware remembered. A snapshot is there exactly while its folder has that name: it is made under another name
 * and renamed, and is renamed away before it is deleted.
 */
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { MAX_SNAPSHOTS, snapshotSchema, type Snapshot } from '../../../src-shared/model/snapshot.ts'
import { syncFolder, writeFileAtomic } from '../../files/write-file-atomic.ts'
import { readJson } from '../files/read-json.ts'
import { refuseLinks } from '../library/bundle.ts'
import { mapLimit } from '../library/map-limit.ts'

/** Bytes of a snapshot.json: a machine.json and a little. */
const MAX_BYTES = 1024 * 1024 + 64 * 1024
/** Folders of snapshots: those of another make may have more than can be taken. */
const MAX_FOLDERS = 2 * MAX_SNAPSHOTS
/** Bytes of a picture of a screen. */
const MAX_PICTURE = 16 * 1024 * 1024
const READERS = 16
const FILE = 'snapshot.json'
const PICTURE = 'screen.png'
/** Folders that are being made, or were being deleted. */
const HIDDEN = /^\.(?:new|old)-/
const OLD = '.old-'

export interface SnapshotPaths {
  folder: string
  memory: string
  /** The suspended state's record that goes with the memory. */
  record: string
  picture: string
  firmware: string
}

export function snapshotsFolder(bundle: string): string {
  return join(bundle, 'snapshots')
}

export function snapshotPaths(bundle: string, id: string): SnapshotPaths {
  return pathsIn(join(snapshotsFolder(bundle), id))
}

function pathsIn(folder: string): SnapshotPaths {
  return {
    folder,
    memory: join(folder, 'memory'),
    record: join(folder, 'suspend.json'),
    picture: join(folder, PICTURE),
    firmware: join(folder, 'firmware'),
  }
}

/**
 * @returns oldest first
 * @throws AppError `corrupt` where one cannot be read: without it, what its disks are needed for is not known
 */
export async function readSnapshots(bundle: string): Promise<Snapshot[]> {
  const folder = snapshotsFolder(bundle)
  await refuseLinks([folder])
  const names = (await namesIn(folder)).filter((name) => z.uuid().safeParse(name).success)
  if (names.length > MAX_FOLDERS)
    throw new AppError('corrupt', `“${folder}” has ${names.length} snapshots; at most ${MAX_SNAPSHOTS} can be made.`, { subject: folder })
  await refuseLinks(names.map((name) => join(folder, name)))
  const snapshots = await mapLimit(names, READERS, (id) => readSnapshot(bundle, id))
  return snapshots.sort((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : a.id < b.id ? -1 : 1))
}

/** @throws AppError why they cannot be read: that there are none is another thing */
async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw asAppError(error, `Reading “${folder}”`)
  })
}

async function readSnapshot(bundle: string, id: string): Promise<Snapshot> {
  const path = join(snapshotsFolder(bundle), id, FILE)
  try {
    const parsed = snapshotSchema.safeParse(await readJson(path, MAX_BYTES))
    if (parsed.success && parsed.data.id === id) return parsed.data
    throw new AppError('corrupt', 'Its snapshot.json is not valid.', { technical: parsed.error?.message ?? 'another id' })
  } catch (error) {
    const known = asAppError(error)
    throw new AppError(
      'corrupt',
      `A snapshot cannot be read (“${path}”): ${known.message} Put the file back from a copy; without it, snapshots of this machine are left alone.`,
      { subject: path },
      known,
    )
  }
}

/** A snapshot that is being made: fill its folder, `describe` it, then `commit`, or `abandon` it. */
export interface SnapshotDraft {
  readonly paths: SnapshotPaths
  describe(snapshot: Snapshot): Promise<void>
  /** One rename: it needs no room. */
  commit(id: string): Promise<void>
  abandon(): Promise<void>
}

export async function draftSnapshot(bundle: string): Promise<SnapshotDraft> {
  const all = snapshotsFolder(bundle)
  const paths = pathsIn(join(all, `.new-${newId()}`))
  await mkdir(paths.folder, { recursive: true })
  return {
    paths,
    describe: (snapshot) => writeFileAtomic(join(paths.folder, FILE), `${JSON.stringify(snapshot, null, 2)}\n`),
    async commit(id) {
      await rename(paths.folder, join(all, id))
      await syncFolder(all)
      await syncFolder(bundle)
    },
    abandon: () => rm(paths.folder, { recursive: true, force: true }).catch(() => {}),
  }
}

export function rewriteSnapshot(bundle: string, snapshot: Snapshot): Promise<void> {
  return writeFileAtomic(join(snapshotPaths(bundle, snapshot.id).folder, FILE), `${JSON.stringify(snapshot, null, 2)}\n`)
}

/** It is gone when this resolves, also over a power cut. Its disks are not touched: which they were is known until `cleanSnapshots`. */
export async function removeSnapshot(bundle: string, id: string): Promise<void> {
  const old = join(snapshotsFolder(bundle), `${OLD}${newId()}`)
  await rename(snapshotPaths(bundle, id).folder, old)
  await syncFolder(snapshotsFolder(bundle))
  for (const name of await readdir(old).catch(() => []))
    if (name !== FILE) await rm(join(old, name), { recursive: true, force: true }).catch(() => {})
}

/** What snapshots had that are gone, and were not cleaned away yet. */
export async function readRemoved(bundle: string): Promise<Snapshot[]> {
  const all = snapshotsFolder(bundle)
  const names = (await namesIn(all)).filter((name) => name.startsWith(OLD))
  const read = names.map((name) => readJson(join(all, name, FILE), MAX_BYTES).then((json) => snapshotSchema.safeParse(json).data ?? []))
  return (await Promise.all(read.map((one) => one.catch(() => [])))).flat()
}

/** Whether there is something to tidy up: snapshots that are gone and whose disks were not merged yet, or what crashes left. */
export async function hasLeftovers(bundle: string): Promise<boolean> {
  const names = await readdir(snapshotsFolder(bundle)).catch(() => [])
  return names.some((name) => HIDDEN.test(name))
}

/** What crashes left. To be called while nobody makes or deletes a snapshot of the machine. */
export async function cleanSnapshots(bundle: string): Promise<void> {
  const all = snapshotsFolder(bundle)
  const names = await readdir(all).catch(() => [])
  for (const name of names) if (HIDDEN.test(name)) await rm(join(all, name), { recursive: true, force: true }).catch(() => {})
}

/** PNG bytes; null where there is none. */
export async function readPicture(bundle: string, id: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const { picture } = snapshotPaths(bundle, id)
  const stats = await stat(picture).catch(() => null)
  return stats?.isFile() && stats.size <= MAX_PICTURE ? new Uint8Array(await readFile(picture)) : null
}
