/** Options of the segments that we send (RFC 9293, 3.2; RFC 7323, 2.2; RFC 2018). No timestamps: what they are good for, a short way to a machine does not need. */
import { NO_OPTIONS } from './segment-writer.ts'
import { WINDOW_SCALE } from './tcp-receiver.ts'

/** Blocks that find room beside nothing else. */
export const MAX_SACK_BLOCKS = 4

/** Of a SYN. @param mss bytes that we take */
export function synOptions(mss: number, scaled: boolean, sacks: boolean): Uint8Array {
  return Uint8Array.from([2, 4, mss >> 8, mss & 255, ...(scaled ? [1, 3, 3, WINDOW_SCALE] : []), ...(sacks ? [1, 1, 4, 2] : [])])
}

export function sackOption(blocks: readonly [number, number][]): Uint8Array {
  if (blocks.length === 0) return NO_OPTIONS
  const bytes = new Uint8Array(4 + blocks.length * 8)
  bytes.set([1, 1, 5, 2 + blocks.length * 8])
  const view = new DataView(bytes.buffer)
  blocks.forEach(([left, right], at) => {
    view.setUint32(4 + at * 8, left)
    view.setUint32(8 + at * 8, right)
  })
  return bytes
}
