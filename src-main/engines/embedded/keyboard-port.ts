/**
 * Keys on the PS/2 keyboard's wire: scancode set 1 as the keyboard controller translates it (IBM PS/2 Technical Reference, "Keyboard and
 * Auxiliary Device Controller"; Microsoft "Keyboard Scan Code Specification", 1.3a).
 */
import { SCANCODE } from '../rfb/keysyms.ts'

const PREFIX = 0xe0
const BREAK = 0x80
/** Pause has no break code of its own. */
const PAUSE = [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]
const CONTROL_BREAK = [PREFIX, 0x46, PREFIX, 0x46 | BREAK]

export class KeyboardPort {
  #send: (byte: number) => void
  #down = new Set<number>()

  constructor(send: (byte: number) => void) {
    this.#send = send
  }

  /** @param code as Screen.key takes it; only what was pressed can be let go */
  key(code: number, down: boolean): void {
    if (down) this.#down.add(code)
    else if (!this.#down.delete(code)) return
    for (const byte of this.#bytes(code, down)) this.#send(byte)
  }

  #bytes(code: number, down: boolean): number[] {
    const mark = down ? 0 : BREAK
    switch (code) {
      case SCANCODE.pause:
        if (!down) return []
        return this.#isDown(SCANCODE.leftControl, SCANCODE.rightControl) ? CONTROL_BREAK : PAUSE
      case SCANCODE.print:
      case SCANCODE.sysRq:
        // One key: with Alt it is SysRq.
        if (this.#isDown(SCANCODE.leftAlt, SCANCODE.rightAlt)) return [SCANCODE.sysRq | mark]
        return down ? [PREFIX, 0x2a, PREFIX, 0x37] : [PREFIX, 0x37 | BREAK, PREFIX, 0x2a | BREAK]
      default:
        return code & 0x80 ? [PREFIX, (code & 0x7f) | mark] : [code | mark]
    }
  }

  #isDown(...codes: number[]): boolean {
    return codes.some((code) => this.#down.has(code))
  }
}
