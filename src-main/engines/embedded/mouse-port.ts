/**
 * The pointer. Guests that know VMware's mouse (Linux does) read the absolute place; others see a PS/2 mouse that moves as far as the
 * viewer's pointer did. v86 keeps both: its VMMouse takes `mouse-absolute`, and the PS/2 mouse's interrupt tells the guest to read it.
 */
import { BUTTON } from '../rfb/screen.ts'

/** PS/2 packets carry nine bits for each direction. */
const MAX_STEP = 127
/** Steps of one pointer event; a jump over the widest screen takes twenty. */
const MAX_STEPS = 32

export type MouseEventName = 'mouse-absolute' | 'mouse-delta' | 'mouse-click' | 'mouse-wheel'

export class MousePort {
  #send: (event: MouseEventName, data: unknown[]) => void
  #x = 0
  #y = 0
  #buttons = 0

  constructor(send: (event: MouseEventName, data: unknown[]) => void) {
    this.#send = send
  }

  /** @param x pixels of a picture of `size`; `buttons` a mask of BUTTON */
  pointer(x: number, y: number, buttons: number, size: { width: number; height: number }): void {
    const at = { x: Math.min(x, size.width - 1), y: Math.min(y, size.height - 1) }
    const dx = at.x - this.#x
    const dy = at.y - this.#y
    this.#x = at.x
    this.#y = at.y
    if (dx !== 0 || dy !== 0) this.#send('mouse-absolute', [at.x, at.y, size.width, size.height])
    this.move(dx, dy, buttons)
  }

  /** Lets go those buttons that are not in the mask, and does nothing else. */
  release(buttons: number): void {
    this.move(0, 0, buttons & this.#buttons)
  }

  /** @param dx pixels to the right; dy downwards */
  move(dx: number, dy: number, buttons: number): void {
    for (let step = 0; (dx !== 0 || dy !== 0) && step < MAX_STEPS; step++) {
      const [stepX, stepY] = [limit(dx), limit(dy)]
      // PS/2 counts upwards, pictures downwards.
      this.#send('mouse-delta', [stepX, -stepY])
      dx -= stepX
      dy -= stepY
    }
    const pressed = buttons & ~this.#buttons
    const held = BUTTON.left | BUTTON.middle | BUTTON.right
    if ((buttons ^ this.#buttons) & held)
      this.#send(
        'mouse-click',
        [BUTTON.left, BUTTON.middle, BUTTON.right].map((button) => (buttons & button) !== 0),
      )
    if (pressed & BUTTON.wheelUp) this.#send('mouse-wheel', [1, 0])
    if (pressed & BUTTON.wheelDown) this.#send('mouse-wheel', [-1, 0])
    this.#buttons = buttons
  }
}

function limit(value: number): number {
  return Math.max(-MAX_STEP, Math.min(MAX_STEP, value))
}
