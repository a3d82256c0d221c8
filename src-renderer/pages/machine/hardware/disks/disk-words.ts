/** Disks in words. Pure. */
import type { DiskState } from '../../../../../src-shared/api/disks.ts'
import type { Task } from '../../../../../src-shared/api/tasks.ts'
import { formatBytes, parseBytes } from '../../../../../src-shared/base/units.ts'
import type { Bus, Cache } from '../../../../../src-shared/model/disk-bus.ts'
import type { ImageCheck, ImageMeasure } from '../../../../../src-shared/model/image-info.ts'
import { DISK_BYTES } from '../../../../../src-shared/model/new-disk.ts'

/** Bytes of a sector: a disk has whole ones. */
const SECTOR = 512

export const BUS_WORDS: Record<Bus | 'auto', { label: string; detail: string }> = {
  auto: { label: 'Chosen by Coppice', detail: 'As the machine’s devices are' },
  virtio: { label: 'virtio', detail: 'Fast; Linux and the BSDs know it' },
  ata: { label: 'SATA or IDE', detail: 'Every system for PCs knows it; comes and goes only while the machine is off' },
  nvme: { label: 'NVMe', detail: 'Known to systems of the last ten years; the machine cannot be suspended' },
  usb: { label: 'USB', detail: 'As a stick that is plugged in' },
}

export const CACHE_WORDS: Record<Cache, { label: string; detail: string }> = {
  writeback: { label: 'Write-back', detail: 'Fast, and safe with systems that flush, as all of today do' },
  writethrough: { label: 'Write-through', detail: 'Each write waits for the disk: slow, for systems that never flush' },
  none: { label: 'None', detail: 'Past this computer’s page cache' },
  unsafe: { label: 'Unsafe', detail: 'Flushes do nothing: for disks that nobody would miss' },
}

/** "1.2 GiB of 20 GiB used, 0.4 GiB of it in snapshots" */
export function roomWords({ size, storedBytes, belowBytes }: ImageMeasure): string {
  const used = `${formatBytes(storedBytes + belowBytes)} of ${formatBytes(size)} used`
  return belowBytes > 0 ? `${used}, ${formatBytes(belowBytes)} of it in snapshots` : used
}

/** "20 GiB, 1.2 GiB used" */
export function shortRoomWords({ size, storedBytes, belowBytes }: ImageMeasure): string {
  return `${formatBytes(size)}, ${formatBytes(storedBytes + belowBytes)} used`
}

/** Parts of the whole bar, 0 … 1. What a file has beside the disk's data is cut. */
export function roomShares({ size, storedBytes, belowBytes }: ImageMeasure): { own: number; below: number } {
  const below = Math.min(1, belowBytes / size)
  return { below, own: Math.min(1 - below, storedBytes / size) }
}

/** Bytes of a disk as somebody types it: "20 GiB", "20G"; a bare number is GiB. A sentence where it is none. */
export function typedSize(text: string): number | string {
  const bytes = /^\s*\d+(\.\d+)?\s*$/.test(text) ? parseBytes(`${text.trim()}G`) : parseBytes(text)
  if (bytes === null) return 'Write a size, as in 20 GiB.'
  if (bytes < DISK_BYTES.min) return 'A disk needs at least 1 MiB.'
  if (bytes > DISK_BYTES.max) return 'A disk can have at most 1 TiB.'
  return Math.ceil(bytes / SECTOR) * SECTOR
}

/** The task that works on a disk now. */
export function taskOf({ path }: Pick<DiskState, 'path'>, running: readonly Task[]): Task | undefined {
  const name = path.split(/[/\\]/).at(-1) ?? path
  return running.find(({ kind, title }) => (kind === 'compact-image' || kind === 'check-image') && title.endsWith(`“${name}”`))
}

/** What a look through an image found. */
export function checkWords(check: ImageCheck | null): { text: string; repairable: boolean } {
  if (!check) return { text: 'It can be opened, and its format has nothing more to look through.', repairable: false }
  const corruptions = check.corruptions - check.repairedCorruptions
  const leaks = check.leaks - check.repairedLeaks
  const parts = [
    corruptions > 0 ? `${corruptions} ${corruptions === 1 ? 'place' : 'places'} that would give wrong data` : '',
    leaks > 0 ? `${leaks} ${leaks === 1 ? 'cluster' : 'clusters'} lost that nothing uses (no data is)` : '',
  ].filter((part) => part !== '')
  if (parts.length > 0) return { text: `Found: ${parts.join(', and ')}.`, repairable: true }
  return {
    text: check.repairedCorruptions + check.repairedLeaks > 0 ? 'Everything that was found is mended.' : 'No errors were found.',
    repairable: false,
  }
}
