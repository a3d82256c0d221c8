/**
 * What a viewer has not seen yet: one byte for each tile of the picture. However slow the viewer and however much changes, it stays this
 * small; changes of the same place merge.
 */
import type { Rect } from './screen.ts'

/** Pixels of a tile's edge. A character cell of a text screen is one or two. */
export const TILE = 16
/** Width that viewers' Tight decoders take. */
const MAX_WIDTH = 2048
/** Pixels of one rectangle of an update: what is converted and compressed at once. */
export const MAX_AREA = 256 * 1024

export class DirtyRegion {
  readonly width: number
  readonly height: number
  #columns: number
  #rows: number
  #tiles: Uint8Array
  #any = false

  constructor(width: number, height: number) {
    this.width = width
    this.height = height
    this.#columns = Math.ceil(width / TILE)
    this.#rows = Math.ceil(height / TILE)
    this.#tiles = new Uint8Array(this.#columns * this.#rows)
  }

  /** What lies outside is left out. */
  add({ x, y, width, height }: Rect): void {
    const right = Math.min(x + width, this.width)
    const bottom = Math.min(y + height, this.height)
    if (x >= right || y >= bottom) return
    const first = Math.floor(x / TILE)
    const after = Math.ceil(right / TILE)
    for (let row = Math.floor(y / TILE); row * TILE < bottom; row++)
      this.#tiles.fill(1, row * this.#columns + first, row * this.#columns + after)
    this.#any = true
  }

  get empty(): boolean {
    return !this.#any
  }

  /** The region as rectangles that do not overlap and that one update can carry; afterwards it is empty. */
  take(): Rect[] {
    const rects: Rect[] = []
    if (!this.#any) return rects
    this.#any = false
    let open: Rect[] = []
    for (let row = 0; row < this.#rows; row++) {
      const runs = this.#runs(row)
      const next: Rect[] = []
      for (const run of runs) {
        const above = open.find(
          (rect) => rect.x === run.x && rect.width === run.width && (rect.height + run.height) * rect.width <= MAX_AREA,
        )
        if (above) above.height += run.height
        else rects.push(run)
        next.push(above ?? run)
      }
      open = next
    }
    this.#tiles.fill(0)
    return rects
  }

  #runs(row: number): Rect[] {
    const runs: Rect[] = []
    const y = row * TILE
    const height = Math.min(TILE, this.height - y)
    const base = row * this.#columns
    for (let column = 0; column < this.#columns; column++) {
      if (!this.#tiles[base + column]) continue
      const x = column * TILE
      while (column < this.#columns && this.#tiles[base + column] && (column + 1) * TILE - x <= MAX_WIDTH) column++
      runs.push({ x, y, width: Math.min(column * TILE, this.width) - x, height })
      // Where the width ended the run, the next begins here.
      column--
    }
    return runs
  }
}
