/**
 * VGA and VESA graphics modes. v86 turns the guest's video memory into canvas pixels and says which rows it touched; here they are compared with
 * what was shown, so that only what really differs counts as changed.
 */
import type { Picture, Rect } from '../rfb/screen.ts'
import type { ScreenLayer } from './v86.ts'

/** Pixels of the blocks in which changes are found. */
const BLOCK = { width: 64, height: 16 }

export class GraphicsPainter {
  #picture: Picture = { width: 0, height: 0, pixels: new Uint32Array(0) }

  /** The picture with this size; a new one is black. */
  resize(width: number, height: number): Picture {
    if (this.#picture.width !== width || this.#picture.height !== height)
      this.#picture = { width, height, pixels: new Uint32Array(width * height).fill(0xff000000) }
    return this.#picture
  }

  /** Takes over what a layer shows; parts that lie outside of the picture are left out. */
  draw(layer: ScreenLayer, changed: (rect: Rect) => void): void {
    const { width, height, pixels } = this.#picture
    const image = layer.image_data
    const left = Math.max(0, layer.screen_x)
    const right = Math.min(width, layer.screen_x + Math.min(layer.buffer_width, image.width - layer.buffer_x))
    const top = Math.max(0, layer.screen_y)
    const bottom = Math.min(height, layer.screen_y + Math.min(layer.buffer_height, image.height - layer.buffer_y))
    if (left >= right || top >= bottom) return
    const source = new Uint32Array(image.data.buffer, image.data.byteOffset, image.data.byteLength >> 2)
    const sourceBytes = bytesOf(source)
    const shownBytes = bytesOf(pixels)
    const blocks = new Uint8Array(Math.ceil(width / BLOCK.width))
    for (let y = top; y < bottom; y++) {
      const from = (y - layer.screen_y + layer.buffer_y) * image.width + layer.buffer_x - layer.screen_x
      const to = y * width
      const same = sourceBytes.compare(shownBytes, 4 * (to + left), 4 * (to + right), 4 * (from + left), 4 * (from + right)) === 0
      if (!same) copyRow(source, from, pixels, to, left, right, blocks)
      const band = y - (y % BLOCK.height)
      if (y + 1 === bottom || (y + 1) % BLOCK.height === 0) report(blocks, band, y + 1, width, changed)
    }
  }
}

function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength)
}

function copyRow(
  source: Uint32Array,
  from: number,
  target: Uint32Array,
  to: number,
  left: number,
  right: number,
  blocks: Uint8Array,
): void {
  for (let x = left; x < right;) {
    const block = Math.floor(x / BLOCK.width)
    const end = Math.min(right, (block + 1) * BLOCK.width)
    let differs = false
    for (; x < end; x++) {
      const pixel = source[from + x]!
      if (target[to + x] === pixel) continue
      target[to + x] = pixel
      differs = true
    }
    if (differs) blocks[block] = 1
  }
}

function report(blocks: Uint8Array, top: number, bottom: number, width: number, changed: (rect: Rect) => void): void {
  for (let block = 0; block < blocks.length; block++) {
    if (!blocks[block]) continue
    blocks[block] = 0
    const x = block * BLOCK.width
    changed({ x, y: top, width: Math.min(BLOCK.width, width - x), height: bottom - top })
  }
}
