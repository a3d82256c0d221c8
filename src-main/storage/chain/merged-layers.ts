/**
 * Many frozen layers as one read-only device, at the price of one.
 *
 * Theory of operation: a disk whose snapshots were taken a hundred times rests on a hundred files. Asking each in turn for every read would cost a
 * hundred times as much. But frozen layers never change, so the question "which file has these bytes?" has one answer for good: the disk is cut
 * into spans, and the first read in a span asks all layers for their extents there, from the top down, and keeps the merged answer as a sorted list of
 * runs. A read then finds its runs by bisection and goes straight to the files that have them. The mapping is merged, never the data. Spans that were
 * not used for long are forgotten when there are too many runs.
 */
import type { BlockInfo } from '../../../src-shared/threads/block-port.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import type { BlockDevice } from '../block-device.ts'
import { requestGuard } from '../request-guard.ts'

/** Bytes of a span: an eighth of what one second-level table of a qcow2 image covers with clusters of 64 KiB. */
const SPAN = 64 * MiB
/** Runs that are kept in memory altogether: some 16 MB. */
const MAX_RUNS = 1_000_000
/** The run's bytes are zeroes. */
const ZERO = -1

export interface MergedLayers extends BlockDevice {
  /** Which layer has the bytes from `offset` on, which is on the disk, and where what it has ends; null: they are zeroes. Reads no data. */
  layerAt(offset: number): Promise<{ layer: number | null; end: number }>
}

export type Layer = Pick<BlockDevice, 'info' | 'read' | 'extent' | 'close'>

/** The runs of a span, in order, without gaps: neighbours differ. */
interface Span {
  /** Where each run ends: bytes of the disk. */
  ends: number[]
  /** Which layer has each run, or ZERO. */
  layers: number[]
}

/**
 * @param layers the newest first, at least one; owned (and closed) from now on. The disk is as large as the newest; bytes past an older one's end are zeroes
 * @param name for sentences: the newest's path
 */
export function mergedLayers(layers: readonly Layer[], name: string): MergedLayers {
  const { size, format } = layers[0]!.info
  const info: BlockInfo = { size, readOnly: true, format }
  const guard = requestGuard(info, name)
  const map = new SpanMap(layers, size)
  let closing: Promise<void> | null = null

  return {
    info,
    async read(offset, into) {
      guard.reading(offset, into.length)
      const end = offset + into.length
      // Most reads lie in one run of a span that is known: no waiting, and no part.
      const first = map.knownRunAt(offset)
      if (first && first.runEnd >= end && first.layer !== ZERO) return layers[first.layer]!.read(offset, into)
      const reads: Promise<void>[] = []
      for (let at = offset; at < end;) {
        const { layer, runEnd } = map.knownRunAt(at) ?? (await map.runAt(at))
        const stop = Math.min(runEnd, end)
        const part = into.subarray(at - offset, stop - offset)
        if (layer === ZERO) part.fill(0)
        else reads.push(layers[layer]!.read(at, part))
        at = stop
      }
      await Promise.all(reads)
    },
    async extent(offset, length) {
      guard.reading(offset, length)
      const { layer, runEnd } = await map.runAt(offset)
      return { length: Math.min(runEnd - offset, length), state: layer === ZERO ? 'zero' : 'data' }
    },
    async layerAt(offset) {
      const { layer, runEnd } = await map.runAt(offset)
      return { layer: layer === ZERO ? null : layer, end: runEnd }
    },
    write: () => Promise.reject(guard.refusal()),
    writeZeroes: () => Promise.reject(guard.refusal()),
    discard: () => Promise.reject(guard.refusal()),
    flush: async () => guard.open(),
    close() {
      guard.end()
      closing ??= closeAll(layers)
      return closing
    },
  }
}

interface Run {
  /** An index, or ZERO. */
  layer: number
  /** Bytes of the disk. */
  runEnd: number
}

class SpanMap {
  #layers: readonly Layer[]
  #size: number
  /** By number of the span, the one that was used last at the end. */
  #spans = new Map<number, Span>()
  #merging = new Map<number, Promise<Span>>()
  #runs = 0

  constructor(layers: readonly Layer[], size: number) {
    this.#layers = layers
    this.#size = size
  }

  async runAt(offset: number): Promise<Run> {
    return this.knownRunAt(offset) ?? runIn(await this.#merged(Math.floor(offset / SPAN)), offset)
  }

  /** As `runAt`; null: the layers have to be asked first. */
  knownRunAt(offset: number): Run | null {
    const span = this.#kept(Math.floor(offset / SPAN))
    return span && runIn(span, offset)
  }

  #kept(number: number): Span | null {
    const span = this.#spans.get(number)
    if (!span) return null
    this.#spans.delete(number)
    this.#spans.set(number, span)
    return span
  }

  #merged(number: number): Promise<Span> {
    const underWay = this.#merging.get(number)
    if (underWay) return underWay
    const merging = this.#merge(number * SPAN, Math.min((number + 1) * SPAN, this.#size))
      .then((span) => {
        this.#keep(number, span)
        return span
      })
      .finally(() => this.#merging.delete(number))
    this.#merging.set(number, merging)
    return merging
  }

  #keep(number: number, span: Span): void {
    this.#spans.set(number, span)
    this.#runs += span.ends.length
    for (const [oldest, { ends }] of this.#spans) {
      if (this.#runs <= MAX_RUNS || oldest === number) return
      this.#spans.delete(oldest)
      this.#runs -= ends.length
    }
  }

  async #merge(start: number, end: number): Promise<Span> {
    const span: Span = { ends: [], layers: [] }
    await this.#resolve(0, start, end, span)
    return span
  }

  async #resolve(depth: number, start: number, end: number, span: Span): Promise<void> {
    const layer = this.#layers[depth]
    const known = layer ? Math.max(start, Math.min(end, layer.info.size)) : start
    for (let at = start; at < known;) {
      const { length, state } = await layer!.extent(at, known - at)
      if (state === 'unallocated') await this.#resolve(depth + 1, at, at + length, span)
      else put(span, at + length, state === 'data' ? depth : ZERO)
      at += length
    }
    // Below the oldest layer there is nothing, nor is there past the end of one.
    if (known < end) put(span, end, ZERO)
  }
}

function runIn({ ends, layers }: Span, offset: number): Run {
  let [low, high] = [0, ends.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ends[middle]! > offset) high = middle
    else low = middle + 1
  }
  return { layer: layers[low]!, runEnd: ends[low]! }
}

function put({ ends, layers }: Span, end: number, layer: number): void {
  if (layers.at(-1) === layer) ends[ends.length - 1] = end
  else {
    ends.push(end)
    layers.push(layer)
  }
}

/** Closes every one, and then fails with the first failure. */
async function closeAll(layers: readonly Layer[]): Promise<void> {
  const results = await Promise.allSettled(layers.map((layer) => layer.close()))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
