/** What the RFB server shows and steers: any screen that can be looked at. */

/** Pixels. Bounds are not negative. */
export interface Rect {
  x: number
  y: number
  width: number
  height: number
}

/** Rows from the top; each word is a pixel whose bytes in memory are red, green, blue and 255, as canvases want it. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly pixels: Uint32Array
}

/** A mask of what is held down; wheel steps are buttons that are pressed and released (RFC 6143, 7.5.5). */
export const BUTTON = { left: 1, middle: 2, right: 4, wheelUp: 8, wheelDown: 16 } as const

export interface Screen {
  /**
   * Brings the picture up to date. `changed` is told of every rectangle that differs from the last look; a picture of another size, or the
   * first after `rest`, is another object and wholly new.
   */
  look(changed: (rect: Rect) => void): Picture
  /** Nobody looks any more: the picture may be forgotten. */
  rest(): void
  /** @param code XT scancode, with 0x80 for the keys whose codes have the prefix 0xE0 (QEMU's numbering) */
  key(code: number, down: boolean): void
  /** Whether the guest takes places now; if not, places become movements on their way, and the guest's pointer is not where the viewer's is. */
  readonly absolute: boolean
  /** @param x pixels of the picture; `buttons` a mask of BUTTON */
  pointer(x: number, y: number, buttons: number): void
  /** @param dx pixels to the right; dy downwards */
  move(dx: number, dy: number, buttons: number): void
}
