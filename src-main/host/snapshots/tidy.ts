/**
 * Makes the files of a machine's disks fit its snapshots: files that nobody names any more are merged with what rests on them, or deleted. What is to be
 * done follows from what is there, so that it goes on where a crash or a cancel ended it. Of a machine that runs, what runs it merges the files that it uses
 * (disks-in-use.ts); what it cannot is done when the machine is off.
 */
import { readdir, realpath, rm, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import { roomOf } from '../../files/room.ts'
import { isTemporary } from '../../files/write-file-atomic.ts'
import { storageJob } from '../images/storage-job.ts'
import { bundlePaths } from '../library/bundle.ts'
import type { LayerMerge } from '../machines/running/session.ts'
import { freeUnneededPages } from '../machines/suspend/memory-pages.ts'
import type { TaskContext } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { nextStep, type Below } from './layers.ts'
import type { SnapshotParts } from './machine-at-rest.ts'
import { isOverlay, namedFiles, ownDisks } from './own-disks.ts'
import { cleanSnapshots, readRemoved } from './snapshot-files.ts'

/** Bytes that merging leaves free for a machine that runs. */
const SPARE = 256 * MiB

interface Layers {
  below: Below
  formats: ReadonlyMap<string, DiskFormat>
}

/** The disks of a machine that runs, as it has them now. */
export interface DisksInUse {
  /** Real paths of the files that are written. */
  written: readonly { drive: string; path: string; format: DiskFormat }[]
  /** What rests on `lower` then rests on `base`. */
  merge(drive: string, merge: LayerMerge, context: Pick<TaskContext, 'signal' | 'progress'>): Promise<void>
}

/**
 * Of a machine whose snapshots nobody changes meanwhile.
 * @param still the machine is suspended: its memory goes with its disks' present files, which stay as they are
 * @param inUse of a machine that runs; null: it is at rest
 * @throws AppError `cancelled`, or why a file cannot be read or merged; trying again goes on from there
 */
export async function tidy(
  bundle: string,
  config: MachineConfig,
  snapshots: readonly Snapshot[],
  still: boolean,
  { storage, neededElsewhere }: Pick<SnapshotParts, 'storage' | 'neededElsewhere'>,
  context: Pick<TaskContext, 'signal' | 'progress' | 'step'>,
  inUse: DisksInUse | null = null,
): Promise<void> {
  const root = await realpath(bundle)
  const absolute = (path: string): string => join(root, path)
  const written = inUse?.written ?? []
  const named = new Set([...[...namedFiles(config, snapshots)].map(absolute), ...written.map(({ path }) => path)])
  const states = [config, ...snapshots.map((snapshot) => snapshot.config)]
  const disks = [...states.flatMap(ownDisks).map(({ path, format }) => ({ path: absolute(path), format })), ...written]
  // Files that snapshots named that are gone now may be deleted, whatever they are called.
  const once = new Set((await readRemoved(bundle)).flatMap(({ config: was }) => ownDisks(was).map(({ path }) => absolute(path))))
  const { files, merged } = await diskFiles(root)
  const kept = new Set(still ? ownDisks(config).map(({ path }) => absolute(path)) : [])
  // To ask takes a look at all machines: only where there is something to do.
  let asked = false
  /** Of those in use: merged here. */
  const spent = new Set<string>()
  for (;;) {
    const layers = await readLayers(disks, inUse !== null, storage)
    const loose = [...files].filter(
      (path) => !layers.below.has(path) && [isOverlay(path), once.has(path), merged.has(path), spent.has(path)].includes(true),
    )
    const below = new Map([...layers.below, ...loose.map((path) => [path, null] as const)])
    const step = nextStep(below, named, new Set([...files].filter((path) => !kept.has(path))), await sharedOf(files))
    if (!step) {
      await removeTraces(root)
      await cleanSnapshots(bundle)
      return freeUnneededPages(bundle, storage)
    }
    context.signal.throwIfAborted()
    if (!asked) {
      for (const path of await neededElsewhere(bundle)) kept.add(path)
      asked = true
      continue
    }
    if (step.kind === 'delete') {
      await rm(step.path, { force: true })
      if (merged.has(step.path)) await rm(markOf(step.path), { force: true })
      files.delete(step.path)
      continue
    }
    context.step('Merging disks')
    const layer = (path: string): { path: string; format: DiskFormat } => ({ path, format: layers.formats.get(path)! })
    const user = written.find(({ path }) => restsOn(path, step.upper, layers.below))
    if (user) {
      if (spent.has(step.lower)) throw new AppError('internal', `“${step.upper}” still rests on “${step.lower}”, which was merged into it.`)
      await refuseFull(step.lower)
      await inUse!.merge(
        user.drive,
        { lower: layer(step.lower), upper: layer(step.upper), base: layers.below.get(step.lower) ?? null },
        context,
      )
      // It is looked at again before it is deleted.
      spent.add(step.lower)
      if (!(await stat(step.lower).catch(() => null))) files.delete(step.lower)
      continue
    }
    await storageJob(storage, context, (calls, job, options) =>
      calls.merge({ job, lower: layer(step.lower), upper: layer(step.upper) }, options),
    )
    files.delete(step.lower)
  }
}

/** Whether a file is another, or rests on it. */
function restsOn(path: string, other: string, below: Below): boolean {
  for (let at: string | null | undefined = path; at; at = below.get(at)) if (at === other) return true
  return false
}

/** What the machine goes on writing must have room beside what is copied, of which the file's own room is the most that it can be. */
async function refuseFull(lower: string): Promise<void> {
  const [{ bavail, bsize }, stats] = await Promise.all([statfs(lower), stat(lower)])
  if (roomOf(stats) + SPARE <= bavail * bsize) return
  throw new AppError(
    'no-space',
    'There is too little room on this computer’s disk to merge a disk that is in use. It is merged when the machine is off.',
  )
}

/** Files with another name: a linked clone has them too. */
async function sharedOf(files: ReadonlySet<string>): Promise<Set<string>> {
  const stats = await Promise.all([...files].map(async (path) => [path, await stat(path).catch(() => null)] as const))
  return new Set(stats.filter(([, one]) => (one?.nlink ?? 1) > 1).map(([path]) => path))
}

/** Files in the machine's own folder of disks, and which of them were merged into another already and only wait to be deleted. */
async function diskFiles(bundle: string): Promise<{ files: Set<string>; merged: Set<string> }> {
  const { disks } = bundlePaths(bundle)
  const entries = await readdir(disks, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
  const files = new Set(names.filter((name) => !name.startsWith('.')).map((name) => join(disks, name)))
  return { files, merged: new Set([...files].filter((path) => names.includes(basename(markOf(path))))) }
}

/** What processes that were killed left beside images: files that were not whole yet, and locks of images that are gone. */
async function removeTraces(bundle: string): Promise<void> {
  const { disks } = bundlePaths(bundle)
  const names: string[] = await readdir(disks).catch(() => [])
  const isTrace = (name: string): boolean => {
    const [, locked] = /^\.(.+)\.coppice-lock$/.exec(name) ?? []
    return isTemporary(name) || (locked !== undefined && !names.includes(locked))
  }
  for (const name of names) if (isTrace(name)) await rm(join(disks, name), { force: true })
}

/** What the storage thread leaves beside a layer between merging it and deleting it. */
function markOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.coppice-merged`)
}

/** Every file that is named or rested on, each looked at once. @param inUse somebody writes some of them */
async function readLayers(disks: readonly { path: string; format: DiskFormat }[], inUse: boolean, storage: SharedThread): Promise<Layers> {
  const below = new Map<string, string | null>()
  const formats = new Map<string, DiskFormat>()
  await storage.use(async (thread) => {
    const calls = thread.rpc.service(storageThread)
    for (const { path, format } of disks) {
      if (below.has(path)) continue
      const { layers, problem } = await calls.inspect({ path, format, folders: [], inUse })
      if (problem !== null) throw new Error(problem)
      formats.set(path, format)
      let above = path
      for (const layer of layers) {
        if (below.has(above)) break
        below.set(above, layer.path)
        formats.set(layer.path, layer.format)
        above = layer.path
      }
      if (!below.has(above)) below.set(above, null)
    }
  })
  return { below, formats }
}
