/**
 * Pours the contents of one disk into another: the work of converting, compacting and merging.
 *
 * Theory of operation: the source's extents are walked in order and cut into pieces; several workers take the next piece each, read it into a buffer of
 * their own, and write it. Reading, writing and looking for zeroes thus overlap, the system's threads do the work, and memory is a few buffers
 * whatever the disk's size. Holes and zeroes are never read.
 */
import type { BlockDevice, Extent } from '../block-device.ts'

/** Bytes of a piece: few enough calls, and a buffer that stays in the processor's cache. */
const PIECE = 1024 * 1024
/** As many as Node's threads for files: more only wait, and their buffers push each other out of the processor's cache. */
const WORKERS = 4
/** Bytes that one question for an extent spans at most, so that a job can be stopped in between. */
const EXTENT_SPAN = 1024 ** 3

export interface Piece extends Extent {
  offset: number
}

export interface PourOptions {
  /**
   * Bytes: the disk is taken apart at multiples of it, data if any of its bytes are. Where `unallocated` matters (a layer), no more than the cluster size
   * of the source.
   */
  grain: number
  /** How far the walk is: bytes of the disk. Throws when the job is to end. */
  progress(done: number): void
}

export interface Sink {
  /** `bytes` are not all zeroes; they may be used until it resolves. */
  data(offset: number, bytes: Uint8Array): Promise<void>
  /** Known to be zeroes. Absent where the target has zeroes anyway. */
  zeroes?(offset: number, length: number): Promise<void>
}

/** Resolves when everything was handed to the sink. Fails with the first failure, after the work under way has ended. */
export async function pour(source: Pick<BlockDevice, 'info' | 'read' | 'extent'>, sink: Sink, options: PourOptions): Promise<void> {
  const pieces = piecesOf(source, options)
  let failed = false
  const work = async (): Promise<void> => {
    let buffer: Uint8Array | null = null
    try {
      for (;;) {
        const next = failed ? null : await pieces.next()
        if (!next || next.done) return
        const { offset, length, state } = next.value
        if (state === 'zero') await sink.zeroes?.(offset, length)
        if (state !== 'data') continue
        buffer ??= new Uint8Array(Math.max(PIECE, options.grain))
        const bytes = buffer.subarray(0, length)
        await source.read(offset, bytes)
        for (const [start, end, zero] of runsOf(bytes, options.grain)) {
          if (!zero) await sink.data(offset + start, bytes.subarray(start, end))
          else await sink.zeroes?.(offset + start, end - start)
        }
      }
    } catch (error) {
      failed = true
      throw error
    }
  }
  const results = await Promise.allSettled(Array.from({ length: WORKERS }, work))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  options.progress(source.info.size)
}

/** The disk in order, in pieces at multiples of the grain. Calls of `next` are answered one after the other. */
async function* piecesOf(source: Pick<BlockDevice, 'info' | 'extent'>, { grain, progress }: PourOptions): AsyncGenerator<Piece> {
  const { size } = source.info
  const most = Math.max(PIECE - (PIECE % grain), grain)
  const wholeGrains = (end: number, round: (grains: number) => number): number =>
    end === size ? end : Math.min(round(end / grain) * grain, size)
  for (let at = 0; at < size;) {
    progress(at)
    const { length, state } = await source.extent(at, Math.min(EXTENT_SPAN, size - at))
    const end = wholeGrains(at + length, Math.floor)
    if (state !== 'data' && end > at) {
      yield { offset: at, length: end - at, state }
      at = end
    } else {
      // Also where less than a grain is no data: the rest of the grain may be.
      for (const stop = wholeGrains(at + length, Math.ceil); at < stop;) {
        progress(at)
        const piece = Math.min(most, stop - at)
        yield { offset: at, length: piece, state: 'data' }
        at += piece
      }
    }
  }
}

const ZEROES = Buffer.alloc(64 * 1024)

/** Runs of zeroes and of other bytes, by whole grains: [start, end), neighbours joined. Pure. */
export function runsOf(bytes: Uint8Array, grain: number): [start: number, end: number, zero: boolean][] {
  const runs: [number, number, boolean][] = []
  for (let start = 0; start < bytes.length; start += grain) {
    const end = Math.min(start + grain, bytes.length)
    const zero = isZero(bytes, start, end)
    const last = runs.at(-1)
    if (last && last[2] === zero) last[1] = end
    else runs.push([start, end, zero])
  }
  return runs
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  // Most data differs from zero at once: no call for that.
  if (bytes[start] !== 0 || bytes[end - 1] !== 0) return false
  for (let at = start; at < end; at += ZEROES.length) {
    const stop = Math.min(at + ZEROES.length, end)
    if (ZEROES.compare(bytes, at, stop, 0, stop - at) !== 0) return false
  }
  return true
}
