/**
 * Checks an image's tables as `qemu-img check` does, and repairs them.
 *
 * A leak is a cluster that is counted more often than it is referred to: room is lost, nothing else. A corruption is one that is counted too
 * seldom (its next owner would share it), a flag COPIED that contradicts the count, or an entry that points to where nothing can be. Leaks are
 * repaired by lowering counts in place. For corruptions all counts are made anew, see rebuild.ts. Then the flags are set right. At every moment a
 * crash leaves the image no worse than it was.
 */
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../../file/byte-file.ts'
import type { ImageCheck } from '../../../disk-image.ts'
import { COPIED } from '../entry.ts'
import { HeaderSector } from '../header-sector.ts'
import { loadHeader } from '../load-parts.ts'
import { refcountWidth } from '../refcount-width.ts'
import { readSnapshots } from '../snapshots.ts'
import { TrustedSync } from '../../../file/trusted-sync.ts'
import { fixFlags, visitFlags } from './copied-flags.ts'
import { countedWindows, findWindows, perBlock, type Window } from './count.ts'
import { Findings } from './findings.ts'
import { rebuildCounts } from './rebuild.ts'
import { refcountBlocks, type CheckedImage } from './references.ts'

export interface CheckOptions {
  repair: boolean
  signal?: AbortSignal
  /** Parts of the file that have been looked at, of all. */
  onProgress?(done: number, total: number): void
}

/**
 * @param file of an image that nobody else uses meanwhile
 * @throws AppError `denied`: to be repaired, but open for reading only; `corrupt`: the header or the list of snapshots is beyond repair, or counts
 *   do not fit into the image's entries; `unsupported`, `cancelled`, or the file's reason
 */
export async function checkQcow2(file: ByteFile, options: CheckOptions): Promise<ImageCheck> {
  const { repair, signal } = options
  if (repair && file.readOnly)
    throw new AppError('denied', `The disk image “${file.path}” is open for reading only.`, { subject: file.path })
  const { header, head } = await loadHeader(file)
  const image: CheckedImage = { file, header, snapshots: await readSnapshots(file, header), signal }
  try {
    const { found, windows } = await examine(image, options)
    const { corruptions, leaks, sentences: findings } = found
    if (!repair) return { corruptions, leaks, repairedCorruptions: 0, repairedLeaks: 0, findings }
    const durable = new TrustedSync(file)
    const sector = new HeaderSector(file, durable, head, header.version)
    let remaining = found
    if (corruptions > 0) {
      await rebuildCounts(image, windows, durable, sector)
      Object.assign(header, (await loadHeader(file)).header)
      await fixFlags(image, windows, durable)
    } else if (leaks > 0) await lowerCounts(image, windows, durable)
    if (corruptions + leaks > 0) remaining = (await examine(image, options)).found
    if (remaining.corruptions === 0) await sector.markSound()
    const repairedCorruptions = Math.max(0, corruptions - remaining.corruptions)
    return { corruptions, leaks, repairedCorruptions, repairedLeaks: Math.max(0, leaks - remaining.leaks), findings }
  } catch (error) {
    if (signal?.aborted) throw AppError.cancelled()
    throw error
  }
}

async function examine(image: CheckedImage, { onProgress }: CheckOptions): Promise<{ found: Findings; windows: number[] }> {
  const found = new Findings()
  const windows = await findWindows(image, refcountBlocks(image), (sentence) => found.corruption(sentence))
  let done = 0
  for await (const window of countedWindows(image, windows, true)) {
    const once = await compare(image, window, found)
    await visitFlags(image, (host, high) => {
      const i = host / image.header.clusterSize - window.first
      if (i < 0 || i >= window.counts.length) return null
      if (((high & COPIED) !== 0) !== (once[i] === 1))
        found.corruption(
          `Cluster ${window.first + i} is marked as ${once[i] === 1 ? 'shared, but is not' : 'not shared, but is counted otherwise'}.`,
        )
      return null
    })
    onProgress?.(++done, windows.length)
  }
  return { found, windows }
}

/** @returns 1 for clusters whose stored count is exactly one */
async function compare(image: CheckedImage, { first, counts }: Window, found: Findings): Promise<Uint8Array> {
  const entries = perBlock(image.header)
  const { get } = refcountWidth(image.header.refcountBits)
  const once = new Uint8Array(counts.length)
  const seen = new Uint8Array(Math.ceil(counts.length / entries))
  const judge = (i: number, stored: number): void => {
    const used = counts[i]!
    if (stored > used) found.leak(`Cluster ${first + i} is used ${used} times, but counted ${stored} times.`)
    else if (stored < used) found.corruption(`Cluster ${first + i} is used ${used} times, but counted only ${stored} times.`)
  }
  for await (const { start, view } of storedBlocks(image, first, counts.length)) {
    seen[start / entries] = 1
    for (let i = start; i < Math.min(counts.length, start + entries); i++) {
      const stored = get(view, i - start)
      if (stored === 1) once[i] = 1
      if (stored !== counts[i]) judge(i, stored)
    }
  }
  // Where there is no block, all counts are 0.
  for (let i = 0; i < counts.length; i++) if (counts[i]! > 0 && seen[Math.floor(i / entries)] === 0) judge(i, 0)
  return once
}

interface StoredBlock {
  /** Of its first entry, in the window. */
  start: number
  offset: number
  view: DataView<ArrayBuffer>
}

/** The refcount blocks of a window that lie where a block can lie. */
async function* storedBlocks(image: CheckedImage, first: number, length: number): AsyncGenerator<StoredBlock> {
  const { file, header } = image
  for await (const { index, offset } of refcountBlocks(image)) {
    const start = index * perBlock(header) - first
    if (start < 0 || start >= length || offset % header.clusterSize !== 0 || offset >= file.size) continue
    image.signal?.throwIfAborted()
    const bytes = new Uint8Array(header.clusterSize)
    await file.read(offset, bytes)
    yield { start, offset, view: new DataView(bytes.buffer) }
  }
}

async function lowerCounts(image: CheckedImage, windows: readonly number[], durable: TrustedSync): Promise<void> {
  const { file, header } = image
  const { get, set } = refcountWidth(header.refcountBits)
  for await (const { first, counts } of countedWindows(image, windows, true))
    for await (const { start, offset, view } of storedBlocks(image, first, counts.length)) {
      let changed = false
      for (let i = start; i < Math.min(counts.length, start + perBlock(header)); i++) {
        if (get(view, i - start) <= counts[i]!) continue
        set(view, i - start, counts[i]!)
        changed = true
      }
      if (changed) await file.write(offset, new Uint8Array(view.buffer))
    }
  await durable.sync()
}
