/** What is said and drawn of a comparison. Pure. */
import { formatBytes } from '../../../../src-shared/base/units.ts'
import type { DiskDifference } from '../../../../src-shared/model/disk-difference.ts'
import type { FileChange, FileSystemChanges } from '../../../../src-shared/model/file-changes.ts'
import type { DiskComparison } from '../../../../src-shared/model/snapshot-comparison.ts'

/** "12 MiB changed, in 3,072 blocks of 4 KiB; the disk has 64 MiB" */
export function differenceWords({ there, difference }: DiskComparison): string {
  if (!difference) return there === 'added' ? 'Not there before.' : 'Not there any more.'
  const { sizes, changedBlocks, changedBytes, blockSize } = difference
  const size =
    sizes.before === sizes.after
      ? `the disk has ${formatBytes(sizes.after)}`
      : `the disk had ${formatBytes(sizes.before)}, and then ${formatBytes(sizes.after)}`
  if (changedBlocks === 0) return `The same; ${size}.`
  const blocks = changedBlocks === 1 ? 'one block' : `${changedBlocks.toLocaleString()} blocks`
  return `${formatBytes(changedBytes)} changed, in ${blocks} of ${formatBytes(blockSize)}; ${size}.`
}

/** Parts of the picture's bar: where each begins and ends, from 0 to 1, and how much of it changed. Neighbours that look alike are one. */
export interface Stretch {
  from: number
  to: number
  share: number
}

/** Steps that an eye tells apart. */
const STEPS = 4

export function stretches({ sizes, part, parts }: DiskDifference): Stretch[] {
  const size = Math.max(sizes.before, sizes.after)
  const found: Stretch[] = []
  parts.forEach((bytes, i) => {
    if (bytes === 0) return
    const [start, end] = [i * part, Math.min((i + 1) * part, size)]
    const share = Math.max(1, Math.ceil((bytes / (end - start)) * STEPS)) / STEPS
    const last = found.at(-1)
    if (last && last.to === start / size && last.share === share) last.to = end / size
    else found.push({ from: start / size, to: end / size, share })
  })
  return found
}

/** What is under the pointer: "1 GiB to 1.1 GiB: 3 MiB changed". @param at from 0 to 1 */
export function placeWords({ sizes, part, parts }: DiskDifference, at: number): string {
  const size = Math.max(sizes.before, sizes.after)
  const i = Math.max(0, Math.min(parts.length - 1, Math.floor((at * size) / part)))
  const changed = parts[i]! === 0 ? 'the same' : `${formatBytes(parts[i]!)} changed`
  return `${formatBytes(i * part)} to ${formatBytes(Math.min((i + 1) * part, size))}: ${changed}`
}

/** Sizes under the bar, from its beginning to its end. */
export function scale({ sizes }: DiskDifference): string[] {
  const size = Math.max(sizes.before, sizes.after)
  return [0, 0.25, 0.5, 0.75, 1].map((at) => (at === 0 ? '0' : formatBytes(at * size)))
}

/** "Partition 1, “root”", "The disk" */
export function partitionWords({ partition, label }: FileSystemChanges): string {
  const place = partition === 0 ? 'The disk' : `Partition ${partition}`
  return label === '' ? place : `${place}, “${label}”`
}

/** "3 files added, 1 changed, 2 removed.", and what is to be known of it */
export function changesWords({ kind, counts: { added, changed, removed }, note }: FileSystemChanges): string {
  if (kind === null) return note ?? ''
  const some = [
    added > 0 ? `${added.toLocaleString()} added` : null,
    changed > 0 ? `${changed.toLocaleString()} changed` : null,
    removed > 0 ? `${removed.toLocaleString()} removed` : null,
  ].filter((part) => part !== null)
  const sentence = some.length === 0 ? 'No file was added, changed or removed.' : `Files: ${some.join(', ')}.`
  return note === null ? sentence : `${sentence} ${note}`
}

/** "2 KiB", "1 KiB, then 2 KiB" */
export function sizeWords({ before, after }: FileChange): string {
  if (before === null || after === null || before === after) return formatBytes(after ?? before ?? 0)
  return `${formatBytes(before)}, then ${formatBytes(after)}`
}
