/** What `coppice disk` prints of images. */
import { formatBytes } from '../../../src-shared/base/units.ts'
import type { ImageCheck, ImageFileInfo, ImageInfo } from '../../../src-shared/model/image-info.ts'
import { CHECK_EXIT, EXIT } from './errors.ts'
import type { Column } from './output/table.ts'

/** Everything about an image but its layers. */
export function imageFacts(info: ImageInfo): [string, string][] {
  const facts: [string, string][] = [
    ['file', info.path],
    ['format', info.format],
    ['disk size', exactBytes(info.size)],
    ...knownBytes('file size', info.fileBytes),
    ...knownBytes('room taken', info.storedBytes),
    ...info.details.map(({ label, value }): [string, string] => [label.charAt(0).toLowerCase() + label.slice(1), value]),
  ]
  if (info.backing !== null) facts.push(['rests on', info.backing])
  if (info.problem !== null) facts.push(['problem', info.problem])
  return facts
}

/** For the image and its layers, the newest first. */
export const LAYER_COLUMNS: readonly Column<ImageFileInfo>[] = [
  { title: 'FORMAT', cell: ({ format }) => format },
  { title: 'DISK', align: 'right', cell: ({ size }) => formatBytes(size) },
  { title: 'TAKEN', align: 'right', cell: ({ storedBytes }) => (storedBytes === null ? '' : formatBytes(storedBytes)) },
  { title: 'LAYER', cell: ({ path }) => path },
]

/** "qcow2, 10 GiB, takes 196 KiB" */
export function imageLine({ format, size, storedBytes }: ImageFileInfo): string {
  return `${format}, ${formatBytes(size)}${storedBytes === null ? '' : `, takes ${formatBytes(storedBytes)}`}`
}

/** "1 of 2 corruptions repaired, 3 leaked clusters" */
export function checkLine(check: ImageCheck): string {
  const parts = [
    counted(check.corruptions, check.repairedCorruptions, 'corruption', 'corruptions'),
    counted(check.leaks, check.repairedLeaks, 'leaked cluster', 'leaked clusters'),
  ]
  return parts.filter((part) => part !== null).join(', ') || 'no errors found'
}

/** The exit code for what is wrong still. */
export function checkExit({ corruptions, repairedCorruptions, leaks, repairedLeaks }: ImageCheck): number {
  if (corruptions > repairedCorruptions) return CHECK_EXIT.corrupt
  return leaks > repairedLeaks ? CHECK_EXIT.leaks : EXIT.done
}

function counted(count: number, repaired: number, one: string, more: string): string | null {
  if (count === 0) return null
  const what = `${count} ${count === 1 ? one : more}`
  if (repaired === 0) return what
  return repaired === count ? `${what} repaired` : `${repaired} of ${what} repaired`
}

function knownBytes(fact: string, bytes: number | null): [string, string][] {
  return bytes === null ? [] : [[fact, exactBytes(bytes)]]
}

function exactBytes(bytes: number): string {
  return bytes < 1024 ? formatBytes(bytes) : `${formatBytes(bytes)} (${bytes} bytes)`
}
