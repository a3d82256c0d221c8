/**
 * Which files two states of a disk differ in. Theory of operation: partitions whose bytes both states have from the same files of this computer are the same,
 * and are not looked at. Of the others the files are listed, before and after, with their sizes and times; contents are not compared.
 */
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { MAX_LISTED, type FileChange, type FileSystemChanges } from '../../../src-shared/model/file-changes.ts'
import type { FileList } from '../filesystems/file-list.ts'
import { listFiles } from '../filesystems/list-files.ts'
import { findPartitions, type Partition } from '../filesystems/partitions.ts'
import { volumeOf } from '../filesystems/volume.ts'
import { openChain } from '../open-image.ts'
import { known, type ChosenImage } from './chosen-image.ts'
import type { ComparedDisk } from './compare-disks.ts'

const UNKNOWN = 'It has no file system that Coppice can read (ext2 to ext4, FAT).'

export interface CompareFilesChoice {
  before: ChosenImage
  after: ChosenImage
}

/** @throws AppError `cancelled`, or as openImage, of either; what is wrong with a file system stands in its `note` */
export async function compareFiles(choice: CompareFilesChoice, signal: AbortSignal): Promise<FileSystemChanges[]> {
  try {
    const first = await known(choice.before)
    const before = await openChain(first, first.folders)
    try {
      const second = await known(choice.after)
      const after = await openChain(second, second.folders)
      try {
        return await compareFileSystems(before, after, signal)
      } finally {
        await after.close()
      }
    } finally {
      await before.close()
    }
  } catch (error) {
    if (signal.aborted) throw AppError.cancelled()
    throw asAppError(error, `Comparing the files of “${choice.before.path}” and “${choice.after.path}”`)
  }
}

/** Of two disks that are open: of their partitions, those that may differ. */
export async function compareFileSystems(before: ComparedDisk, after: ComparedDisk, signal: AbortSignal): Promise<FileSystemChanges[]> {
  const [earlier, later] = [await findPartitions(before), await findPartitions(after)]
  const found: FileSystemChanges[] = []
  for (const partition of later) {
    const old = earlier.find((one) => isSame(one, partition))
    if (!old) found.push({ ...nothing(partition), note: 'It was not there before, or at another place.' })
    else if (!(await isUntouched(before, after, partition))) found.push(await compareVolumes(before, after, partition, signal))
  }
  for (const partition of earlier)
    if (!later.some((one) => one.number === partition.number)) found.push({ ...nothing(partition), note: 'It is not there any more.' })
  return found
}

function isSame(one: Partition, other: Partition): boolean {
  return one.number === other.number && one.start === other.start && (one.number === 0 || one.size === other.size)
}

function nothing({ number }: Partition): FileSystemChanges {
  return {
    partition: number,
    kind: null,
    label: '',
    added: [],
    changed: [],
    removed: [],
    counts: { added: 0, changed: 0, removed: 0 },
    note: null,
  }
}

async function isUntouched(before: ComparedDisk, after: ComparedDisk, { start, size }: Partition): Promise<boolean> {
  for (let at = start; at < start + size;) {
    const [one, other] = await Promise.all([before.ownerAt(at), after.ownerAt(at)])
    if (one.owner !== other.owner) return false
    at = Math.min(one.end, other.end)
  }
  return true
}

async function compareVolumes(
  before: ComparedDisk,
  after: ComparedDisk,
  partition: Partition,
  signal: AbortSignal,
): Promise<FileSystemChanges> {
  const list = (disk: ComparedDisk): Promise<FileList | null> =>
    listFiles(volumeOf(disk, partition.start, partition.number === 0 ? disk.info.size : partition.size), signal)
  try {
    const [was, is] = [await list(before), await list(after)]
    if (!was && !is) return { ...nothing(partition), note: UNKNOWN }
    return { ...nothing(partition), ...differences(was, is) }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof AppError) || (error.code !== 'corrupt' && error.code !== 'unsupported')) throw error
    return { ...nothing(partition), note: error.message }
  }
}

function differences(was: FileList | null, is: FileList | null): Omit<FileSystemChanges, 'partition'> {
  const added: FileChange[] = []
  const changed: FileChange[] = []
  const removed: FileChange[] = []
  for (const [path, { size, stamp }] of is?.files ?? []) {
    const old = was?.files.get(path)
    if (!old) added.push({ path, before: null, after: size })
    else if (old.size !== size || old.stamp !== stamp) changed.push({ path, before: old.size, after: size })
  }
  for (const [path, { size }] of was?.files ?? []) if (!is?.files.has(path)) removed.push({ path, before: size, after: null })
  const { kind, label } = (is ?? was)!
  const notes = new Set([was?.note, is?.note].filter((note) => typeof note === 'string'))
  return {
    ...{ kind, label, added: firstOf(added), changed: firstOf(changed), removed: firstOf(removed) },
    counts: { added: added.length, changed: changed.length, removed: removed.length },
    note: notes.size === 0 ? null : [...notes].join(' '),
  }
}

function firstOf(changes: FileChange[]): FileChange[] {
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1)).slice(0, MAX_LISTED)
}
