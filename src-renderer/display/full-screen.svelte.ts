/**
 * The whole computer's screen for one view. The page is made full-screen, not the view alone, so that menus and the palette, which live elsewhere
 * in the page, still show; the view covers the rest. Keys that the system or browser would keep (Alt+Tab, Escape, Ctrl+W) are asked for too
 * (Keyboard Lock), where there is such a thing: Chromium, on secure origins.
 */
export const FULL_SCREEN_KEYS = 'Ctrl+Alt+Enter'

interface KeyboardLock {
  lock(): Promise<void>
  unlock(): void
}

export class FullScreen {
  on = $state(false)
  #wanted = false

  /** @returns stops listening, and leaves */
  listen(): () => void {
    const changed = (): void => {
      this.on = this.#wanted && document.fullscreenElement !== null
      if (!this.on) this.#wanted = false
    }
    document.addEventListener('fullscreenchange', changed)
    return () => {
      document.removeEventListener('fullscreenchange', changed)
      if (this.on) this.leave()
    }
  }

  async toggle(): Promise<void> {
    if (this.on) return this.leave()
    this.#wanted = true
    await document.documentElement.requestFullscreen()
    await keyboardLock()
      ?.lock()
      .catch(() => {})
  }

  leave(): void {
    keyboardLock()?.unlock()
    if (document.fullscreenElement) void document.exitFullscreen().catch(() => {})
  }
}

function keyboardLock(): KeyboardLock | undefined {
  return (navigator as Navigator & { keyboard?: KeyboardLock }).keyboard
}
