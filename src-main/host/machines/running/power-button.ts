/**
 * Asking a guest to shut down. Theory of operation: a press of the power button is a moment, and a guest hears it only once its driver and
 * whoever listens to that are up. So while a guest has not booted the button is pressed again and again, and once more when it has; a guest that
 * has booted hears the first press, and is not asked twice for what it may be asking its user about. One that restarts instead of going off
 * has not booted again. After POWER_BUTTON_PATIENCE the wish is given up.
 */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'

/** ms that a guest has to go off, from the last press of the user, before it counts as running again. */
export const POWER_BUTTON_PATIENCE = 60_000
/** ms between two presses for a guest that has not booted. */
export const PRESS_AGAIN = 5_000

export interface PowerButtonParts {
  /** Presses once. What goes wrong is not told: the next press, or the end, follows. */
  press(): void
  hasBooted(): boolean
  /** The guest did not react in time. */
  giveUp(): void
}

/** From the first press until the machine is off or the wish is given up. */
export class PowerButton implements Disposable {
  #parts: PowerButtonParts
  #patience: NodeJS.Timeout
  #again: NodeJS.Timeout

  /** To be made after the first press. */
  constructor(parts: PowerButtonParts) {
    this.#parts = parts
    this.#again = setInterval(() => {
      if (!parts.hasBooted()) parts.press()
    }, PRESS_AGAIN)
    this.#again.unref()
    this.#patience = setTimeout(() => {
      this.dispose()
      parts.giveUp()
    }, POWER_BUTTON_PATIENCE)
    this.#patience.unref()
  }

  /** The guest's first prompt or boot-complete mark was seen. */
  booted(): void {
    this.#parts.press()
  }

  dispose(): void {
    clearTimeout(this.#patience)
    clearInterval(this.#again)
  }
}
