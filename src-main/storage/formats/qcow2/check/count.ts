/**
 * Counts references in windows of the file, so that memory does not grow with it: for each window all tables are walked once, and only references
 * into the window are counted.
 */
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../../file/byte-file.ts'
import type { Qcow2Header } from '../header.ts'
import { visitReferences, type CheckedImage } from './references.ts'

/** Clusters of a window, 16 MiB of counts; more only where one refcount block counts more. */
const WINDOW = 4 * 1024 * 1024
/** Windows with something in them: each costs a walk through all tables. */
const MAX_WINDOWS = 4096

export interface Window {
  /** Clusters of the file, by index. */
  first: number
  /** References by cluster from `first` on. */
  counts: Uint32Array
}

/** Entries of a refcount block. */
export function perBlock(header: Qcow2Header): number {
  return (header.clusterSize * 8) / header.refcountBits
}

function windowLength(header: Qcow2Header): number {
  return Math.max(WINDOW, perBlock(header))
}

function clustersOf(file: ByteFile, header: Qcow2Header): number {
  return Math.ceil(file.size / header.clusterSize)
}

/**
 * The windows that anything refers to.
 * @param blocks of the refcount table; @param wrong told of entries that point to where nothing can be
 * @throws AppError `unsupported`: they are too many
 */
export async function findWindows(
  image: CheckedImage,
  blocks: AsyncIterable<{ index: number }>,
  wrong: (sentence: string) => void,
): Promise<number[]> {
  const { file, header } = image
  const size = header.clusterSize
  const length = windowLength(header)
  const windows = new Set<number>()
  const add = (from: number, to: number): void => {
    for (let window = from; window <= to; window++) windows.add(window)
    if (windows.size > MAX_WINDOWS)
      throw new AppError('unsupported', `The disk image “${file.path}” is spread over too much room to be checked.`, { subject: file.path })
  }
  await visitReferences(image, true, {
    use(offset, bytes) {
      // As qemu-img has it, the last cluster may be cut off.
      if (offset + bytes - file.size >= size) wrong(`Something is said to lie at ${offset} of the file, past its end.`)
      else if (bytes > 0) add(Math.floor(offset / size / length), Math.floor((Math.min(offset + bytes, file.size) - 1) / size / length))
    },
    wrong,
  })
  for await (const { index } of blocks) {
    const window = Math.floor((index * perBlock(header)) / length)
    if (index * perBlock(header) < clustersOf(file, header)) add(window, window)
  }
  return [...windows].sort((a, b) => a - b)
}

/** @param withCounts whether the tables of reference counts are in use themselves */
export async function* countedWindows(image: CheckedImage, windows: readonly number[], withCounts: boolean): AsyncGenerator<Window> {
  const { file, header } = image
  const size = header.clusterSize
  for (const window of windows) {
    const first = window * windowLength(header)
    const counts = new Uint32Array(Math.min(windowLength(header), clustersOf(file, header) - first))
    await visitReferences(image, withCounts, {
      use(offset, bytes) {
        if (offset + bytes - file.size >= size) return
        const end = Math.min(counts.length, Math.ceil((offset + bytes) / size) - first)
        for (let i = Math.max(0, Math.floor(offset / size) - first); i < end; i++) counts[i]!++
      },
      wrong: () => {},
    })
    yield { first, counts }
  }
}
