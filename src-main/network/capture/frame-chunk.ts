/** Frames one behind the other, each with its time in front: the unit in which a port's store (frame-store.ts) grows and forgets, and in which its readers hold on to it. */

/** Bytes. */
export const CHUNK = 128 * 1024
/** In front of each frame: time (f64), number (f64), length and direction (u32), padded. */
const HEADER = 24
const INCOMING = 0x8000_0000

export type Direction = 'in' | 'out'

export interface KeptFrame {
  /** One more than that of the frame before. */
  number: number
  /** ms since 1970, with fractions. */
  at: number
  direction: Direction
  /** A view: of use until the next frame is added. */
  bytes: Uint8Array
}

export interface Chunk {
  bytes: Uint8Array
  view: DataView
  used: number
  /** The number of its first frame. */
  first: number
  /** Readers who go on with it although its store may forget it. */
  holders: number
  /** `dropped`: no store's any more, there for its holders alone. `reused`: its bytes are another chunk's by now. */
  state: 'kept' | 'dropped' | 'reused'
}

/** @param bytes of this size, whatever stands in them  @param first number of the frame that comes first */
export function newChunk(bytes: Uint8Array, first: number): Chunk {
  return { bytes, view: new DataView(bytes.buffer), used: 0, first, holders: 0, state: 'kept' }
}

/** False: it is full. */
export function addFrame(chunk: Chunk, frame: Uint8Array, number: number, direction: Direction, at: number): boolean {
  const { view, used, bytes } = chunk
  const needed = roomFor(frame.length)
  if (used + needed > CHUNK) return false
  view.setFloat64(used, at)
  view.setFloat64(used + 8, number)
  view.setUint32(used + 16, (direction === 'in' ? INCOMING : 0) + frame.length)
  bytes.set(frame, used + HEADER)
  chunk.used += needed
  return true
}

/** @param offset 0, or the one after the frame before */
export function frameAt({ bytes, view }: Chunk, offset: number): KeptFrame {
  const word = view.getUint32(offset + 16)
  const start = offset + HEADER
  return {
    number: view.getFloat64(offset + 8),
    at: timeAt({ view }, offset),
    direction: word >= INCOMING ? 'in' : 'out',
    bytes: bytes.subarray(start, start + (word % INCOMING)),
  }
}

export function timeAt({ view }: Pick<Chunk, 'view'>, offset: number): number {
  return view.getFloat64(offset)
}

/** Bytes that a frame takes with what stands before it. */
export function roomFor(length: number): number {
  return HEADER + ((length + 7) & ~7)
}
