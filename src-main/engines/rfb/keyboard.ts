/**
 * A viewer's keys as XT scancodes. Viewers that know QEMU's extended key events send scancodes: the key's place, whatever is printed on it.
 * Others send keysyms (X11's names of characters and keys, RFC 6143, 7.5.4); these are typed as on a US keyboard, with Shift pressed or let
 * go for a moment where the viewer's keyboard needs another Shift than the US one.
 */
import { keyOfSym, SCANCODE } from './keysyms.ts'

/** Keys that a viewer can hold down; a viewer that presses more is told to let go by ignoring it. */
const MAX_HELD = 64

export class KeyboardOfViewer {
  #send: (code: number, down: boolean) => void
  /** Scancodes that are down. */
  #held = new Set<number>()
  #capsLock = false

  constructor(send: (code: number, down: boolean) => void) {
    this.#send = send
  }

  scancode(code: number, down: boolean): void {
    if (down ? this.#held.size >= MAX_HELD && !this.#held.has(code) : !this.#held.has(code)) return
    if (down && code === SCANCODE.capsLock && !this.#held.has(code)) this.#capsLock = !this.#capsLock
    if (down) this.#held.add(code)
    else this.#held.delete(code)
    this.#send(code, down)
  }

  /** A keysym that no key of a US keyboard has is left out. */
  keysym(keysym: number, down: boolean): void {
    const key = keyOfSym(keysym)
    if (!key) return
    const held = [SCANCODE.leftShift, SCANCODE.rightShift].filter((code) => this.#held.has(code))
    const wantsShift = key.shift === null ? null : key.shift !== (key.letter && this.#capsLock)
    if (!down || wantsShift === null || wantsShift === held.length > 0) return this.scancode(key.code, down)
    const shifts = wantsShift ? [SCANCODE.leftShift] : held
    for (const code of shifts) this.#send(code, wantsShift)
    this.scancode(key.code, true)
    for (const code of shifts) this.#send(code, !wantsShift)
  }

  releaseAll(): void {
    for (const code of [...this.#held]) this.scancode(code, false)
  }
}
