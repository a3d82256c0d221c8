/**
 * What the journal of an ext3 or ext4 file system has that is not in its place yet: of a machine that ran when its snapshot was taken, its newest changes
 * (Linux, Documentation/filesystems/ext4, "Journal (jbd2)"). Theory of operation: the log begins where its superblock says, and is a ring. Each transaction
 * is descriptor blocks, which say where the blocks behind them belong, and a commit block; one without that never happened. Blocks that a later
 * transaction revokes are not put back by earlier ones. Nothing is written: the newest copy of each block is remembered, by its place in the log.
 */
import type { Volume } from '../volume.ts'
import type { WorkLimit } from '../file-list.ts'

const MAGIC = 0xc03b3998
const KIND = { descriptor: 1, commit: 2, revoke: 5 } as const
const FLAG = { escape: 1, sameUuid: 2, last: 8 } as const
const INCOMPAT = { wide: 0x2, csumV2: 0x8, csumV3: 0x10, fastCommit: 0x20 } as const
/** Blocks at the log's end for fast commits, where the superblock does not say: they are no part of the ring, and are not put back. */
const FAST_COMMIT_BLOCKS = 256
/** Blocks of a log that are followed. */
const MAX_BLOCKS = 1_000_000

export interface LoggedBlock {
  /** Block of the file system where its newest content lies. */
  at: number
  /** Its first four bytes are zeroes instead of the journal's own mark. */
  escaped: boolean
}

/**
 * @param log the journal's blocks, by their number in it: blocks of the file system
 * @returns by block of the file system
 */
export async function replayed(
  volume: Volume,
  blockSize: number,
  log: readonly number[],
  limit: WorkLimit,
): Promise<Map<number, LoggedBlock>> {
  const found = new Map<number, LoggedBlock>()
  const block = (number: number): Promise<DataView<ArrayBuffer>> => volume.read(log[number]! * blockSize, blockSize)
  if (log.length === 0) return found
  const head = await block(0)
  if (head.getUint32(0) !== MAGIC || head.getUint32(0x0c) !== blockSize) return found
  const incompat = head.getUint32(0x04) === 3 ? 0 : head.getUint32(0x28)
  const fast = (incompat & INCOMPAT.fastCommit) === 0 ? 0 : head.getUint32(0x54) || FAST_COMMIT_BLOCKS
  const [length, first, begin] = [Math.min(head.getUint32(0x10), log.length) - fast, head.getUint32(0x14), head.getUint32(0x1c)]
  if (begin === 0 || first === 0 || first >= length || begin >= length) return found
  const next = (number: number): number => (number + 1 >= length ? first : number + 1)

  const revoked = new Map<number, number>()
  const transactions: { sequence: number; blocks: Map<number, LoggedBlock> }[] = []
  let blocks = new Map<number, LoggedBlock>()
  let revokes: number[] = []
  let sequence = head.getUint32(0x18)
  let steps = 0
  for (let at = begin; steps < Math.min(length, MAX_BLOCKS);) {
    limit.step()
    const view = await block(at)
    if (view.getUint32(0) !== MAGIC || view.getUint32(8) !== sequence) break
    const kind = view.getUint32(4)
    at = next(at)
    steps++
    if (kind === KIND.descriptor)
      for (const { home, escaped } of tags(view, incompat)) {
        blocks.set(home, { at: log[at]!, escaped })
        at = next(at)
        steps++
      }
    else if (kind === KIND.revoke) revokes.push(...revocations(view, incompat))
    else if (kind === KIND.commit) {
      for (const home of revokes) revoked.set(home, sequence)
      transactions.push({ sequence, blocks })
      blocks = new Map()
      revokes = []
      sequence = (sequence + 1) >>> 0
    } else break
  }
  for (const transaction of transactions)
    for (const [home, content] of transaction.blocks) {
      const until = revoked.get(home)
      if (until === undefined || transaction.sequence > until) found.set(home, content)
    }
  return found
}

/** Where the blocks behind a descriptor belong ("Block tags": the third version of checksums has a form of its own). */
function tags(view: DataView, incompat: number): { home: number; escaped: boolean }[] {
  const found: { home: number; escaped: boolean }[] = []
  const wide = (incompat & INCOMPAT.wide) !== 0
  const v3 = (incompat & INCOMPAT.csumV3) !== 0
  const bytes = v3 ? 16 : 8 + (wide ? 4 : 0) + ((incompat & INCOMPAT.csumV2) !== 0 ? 2 : 0)
  const size = v3 ? 16 : bytes
  const tail = v3 || (incompat & INCOMPAT.csumV2) !== 0 ? 4 : 0
  for (let at = 12; at + size <= view.byteLength - tail;) {
    const low = view.getUint32(at)
    const flags = v3 ? view.getUint32(at + 4) : view.getUint16(at + 6)
    const high = wide ? view.getUint32(at + 8) : 0
    found.push({ home: high * 2 ** 32 + low, escaped: (flags & FLAG.escape) !== 0 })
    if ((flags & FLAG.last) !== 0) break
    at += size + ((flags & FLAG.sameUuid) === 0 ? 16 : 0)
  }
  return found
}

function revocations(view: DataView, incompat: number): number[] {
  const size = (incompat & INCOMPAT.wide) !== 0 ? 8 : 4
  const end = Math.min(view.getUint32(12), view.byteLength)
  const found: number[] = []
  for (let at = 16; at + size <= end; at += size)
    found.push(size === 8 ? view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4) : view.getUint32(at))
  return found
}
