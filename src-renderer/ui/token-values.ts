/** Values of tokens.css for what paints by itself (canvas, terminal): read again whenever the theme changes. */
import { toDisposable, type Disposable } from '../../src-shared/base/disposable.ts'

/** The value of a custom property, as tokens.css has it for the present theme: `token('--accent')`. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

/** Calls `listener` after every change of the theme. */
export function onThemeChange(listener: () => void): Disposable {
  const observer = new MutationObserver(listener)
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  return toDisposable(() => observer.disconnect())
}
