/** The flag COPIED in the tables of the disk (not of its snapshots, where it means nothing): set exactly where the count is one. */
import { COPIED, entryKind, entryOffset, KIND } from '../entry.ts'
import type { TrustedSync } from '../../../file/trusted-sync.ts'
import { countedWindows } from './count.ts'
import { l2Tables, type CheckedImage } from './references.ts'

/**
 * @param visit told of every entry that has the flag or should have it, and of the cluster it names; answers the high half that it should have,
 *   null to leave it
 */
export async function visitFlags(image: CheckedImage, visit: (host: number, high: number) => number | null): Promise<void> {
  const { file, header } = image
  for await (const { l1Index, high, low, offset, view } of l2Tables(image, header.l1Offset, header.l1Entries, () => {})) {
    const better = visit(offset, high)
    if (better !== null) await file.write(header.l1Offset + l1Index * 8, entry(better, low))
    let changed = false
    for (let at = 0; at < view.byteLength; at += 8) {
      const entryHigh = view.getUint32(at)
      const kind = entryKind(entryHigh, view.getUint32(at + 4))
      if (kind !== KIND.data && kind !== KIND.zeroAllocated) continue
      const host = entryOffset(entryHigh, view.getUint32(at + 4))
      const right = host % header.clusterSize === 0 ? visit(host, entryHigh) : null
      if (right === null) continue
      view.setUint32(at, right)
      changed = true
    }
    if (changed) await file.write(offset, new Uint8Array(view.buffer))
  }
}

/** To be called when the stored counts are right. */
export async function fixFlags(image: CheckedImage, windows: readonly number[], durable: TrustedSync): Promise<void> {
  for await (const { first, counts } of countedWindows(image, windows, false))
    await visitFlags(image, (host, high) => {
      const i = host / image.header.clusterSize - first
      if (i < 0 || i >= counts.length || ((high & COPIED) !== 0) === (counts[i] === 1)) return null
      return (high ^ COPIED) >>> 0
    })
  await durable.sync()
}

function entry(high: number, low: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, high)
  view.setUint32(4, low)
  return new Uint8Array(view.buffer)
}
