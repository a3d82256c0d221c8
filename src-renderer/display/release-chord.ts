/**
 * The way out of a screen that has keyboard or pointer: Control and Alt pressed and let go with nothing between. With another key the two belong
 * to the guest (Ctrl-Alt-F2); AltGr, which some systems report as Control and AltRight, is not meant. Pure.
 */
export interface Key {
  type: string
  /** As KeyboardEvent.code. */
  code: string
}

/** As people read it. */
export function releaseKeys(mac: boolean): string {
  return mac ? 'Control+Option' : 'Ctrl+Alt'
}

export class ReleaseChord {
  #down = new Set<string>()
  #spoiled = false
  #both = false

  /** @returns true when this event completes the chord */
  key({ type, code }: Key): boolean {
    if (type === 'keydown') {
      this.#down.add(code)
      if (!isControl(code) && code !== 'AltLeft') this.#spoiled = true
      if (this.#down.has('AltLeft') && [...this.#down].some(isControl)) this.#both = true
      return false
    }
    this.#down.delete(code)
    const complete = this.#both && !this.#spoiled
    if (complete || this.#down.size === 0) this.reset()
    return complete
  }

  /** The keys are somebody else's now. */
  reset(): void {
    this.#down.clear()
    this.#spoiled = false
    this.#both = false
  }
}

function isControl(code: string): boolean {
  return code === 'ControlLeft' || code === 'ControlRight'
}
