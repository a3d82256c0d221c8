import { formatBytes } from '../../../../src-shared/base/units.ts'
import type { DiskImage } from '../../disk-image.ts'
import type { Qcow2Header } from './header.ts'
import type { InternalSnapshot } from './snapshots.ts'

/** Names that are shown; more are counted. */
const MOST_NAMES = 10

/** What the format says of an image, for people. */
export function describe(header: Qcow2Header, snapshots: readonly InternalSnapshot[]): DiskImage['details'] {
  const details = [
    { label: 'Version', value: header.version === 2 ? '2 (QEMU 0.10)' : '3 (QEMU 1.1)' },
    { label: 'Cluster size', value: formatBytes(header.clusterSize) },
    { label: 'Reference counts', value: `${header.refcountBits} bits${header.lazyRefcounts ? ', lazy' : ''}` },
    { label: 'Compression', value: header.compression === 'zlib' ? 'Deflate' : 'Zstandard' },
  ]
  if (snapshots.length > 0) {
    const names = snapshots.slice(0, MOST_NAMES).map(({ id, name }) => name || id)
    const more = snapshots.length - names.length
    details.push({ label: 'Internal snapshots', value: names.join(', ') + (more > 0 ? ` and ${more} more` : '') })
  }
  if (header.bitmaps) details.push({ label: 'Bitmaps', value: String(header.bitmaps.count) })
  if (header.dirty) details.push({ label: 'State', value: 'Not closed properly; counted anew when it is next written' })
  if (header.corrupt) details.push({ label: 'State', value: 'Damaged; check and repair it' })
  return details
}
