/** What `coppice snapshot compare` prints. Pure. */
import { formatBytes } from '../../../src-shared/base/units.ts'
import type { DiskDifference } from '../../../src-shared/model/disk-difference.ts'
import type { FileSystemChanges } from '../../../src-shared/model/file-changes.ts'
import type { DiskComparison, SnapshotComparison } from '../../../src-shared/model/snapshot-comparison.ts'

/** Characters of the picture of a disk. */
const WIDTH = 64
/** Files of a partition. */
const MAX_LINES = 60
/** From nothing changed to all changed. */
const SHADES = ['·', '░', '▒', '▓', '█']

export function comparisonLines({ disks }: SnapshotComparison): string[] {
  if (disks.length === 0) return ['The machine has no disks of its own in either state.']
  return disks.flatMap((disk) =>
    disk.difference
      ? [...differenceLines(disk.drive, disk.difference), ...disk.files.flatMap(fileLines)]
      : [`${disk.drive}: ${onlyOnce(disk)}`],
  )
}

function onlyOnce({ there }: DiskComparison): string {
  return there === 'added' ? 'not there before' : 'not there any more'
}

function differenceLines(drive: string, difference: DiskDifference): string[] {
  const { sizes, changedBlocks, changedBytes } = difference
  const size = sizes.before === sizes.after ? formatBytes(sizes.after) : `${formatBytes(sizes.before)}, then ${formatBytes(sizes.after)}`
  if (changedBlocks === 0) return [`${drive}: the same (${size})`]
  const blocks = changedBlocks === 1 ? '1 block' : `${changedBlocks} blocks`
  return [`${drive}: ${formatBytes(changedBytes)} changed, ${blocks} (of ${size})`, `  ${strip(difference)}`]
}

function fileLines({ partition, kind, label, added, changed, removed, counts, note }: FileSystemChanges): string[] {
  const place = `${partition === 0 ? 'the disk' : `partition ${partition}`}${label === '' ? '' : ` “${label}”`}`
  const some = [
    ...added.map(({ path, after }) => `+ ${path} (${formatBytes(after!)})`),
    ...changed.map(
      ({ path, before, after }) => `~ ${path} (${before === after ? '' : `${formatBytes(before!)}, then `}${formatBytes(after!)})`,
    ),
    ...removed.map(({ path, before }) => `- ${path} (${formatBytes(before!)})`),
  ]
  const rest = counts.added + counts.changed + counts.removed - Math.min(some.length, MAX_LINES)
  return [
    `  ${place}: ${kind === null ? '' : `${counts.added} added, ${counts.changed} changed, ${counts.removed} removed. `}${note ?? ''}`.trimEnd(),
    ...some.slice(0, MAX_LINES).map((line) => `    ${line}`),
    ...(rest > 0 ? [`    and ${rest} more`] : []),
  ]
}

/** One character for each stretch of the disk, the darker the more of it changed. */
export function strip({ sizes, part, parts }: DiskDifference): string {
  const size = Math.max(sizes.before, sizes.after)
  const width = Math.min(WIDTH, parts.length)
  const changed = new Array<number>(width).fill(0)
  const whole = new Array<number>(width).fill(0)
  parts.forEach((bytes, i) => {
    const at = Math.floor((i * width) / parts.length)
    changed[at]! += bytes
    whole[at]! += Math.min(part, size - i * part)
  })
  return changed.map((bytes, i) => SHADES[bytes === 0 ? 0 : Math.max(1, Math.round((bytes / whole[i]!) * (SHADES.length - 1)))]).join('')
}
