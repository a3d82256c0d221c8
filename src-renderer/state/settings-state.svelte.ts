/** The user's settings, kept by `settings.changed`, and the theme on the page's root. */
import { createSubscriber } from 'svelte/reactivity'
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { settingsSchema, type Settings } from '../../src-shared/api/settings.ts'
import type { Host } from '../client/host.ts'
import { remembered } from './remembered.ts'

const darkQuery = matchMedia('(prefers-color-scheme: dark)')
const watchSystem = createSubscriber((update) => {
  darkQuery.addEventListener('change', update)
  return () => darkQuery.removeEventListener('change', update)
})

/** The theme of the last visit: applied before the host answers, so that the window does not flash. */
const lastTheme = remembered<Settings['theme']>('theme', 'system', (value) => value === 'light' || value === 'dark')

export class SettingsState {
  #host: Host
  #listening: Disposable

  current = $state.raw<Settings>({ ...settingsSchema.parse({}), theme: lastTheme.read() })
  readonly theme: 'light' | 'dark' = $derived.by(() => {
    watchSystem()
    if (this.current.theme !== 'system') return this.current.theme
    return darkQuery.matches ? 'dark' : 'light'
  })

  constructor(host: Host) {
    this.#host = host
    this.#listening = host.settings.changed((settings) => this.#apply(settings))
  }

  async load(): Promise<void> {
    this.#apply(await this.#host.settings.get({}))
  }

  /** Shown at once; put back when the host refuses. @throws AppError from the host */
  async set(patch: Partial<Settings>): Promise<void> {
    const before = this.current
    this.#apply({ ...before, ...patch })
    try {
      this.#apply(await this.#host.settings.set(patch))
    } catch (error) {
      this.#apply(before)
      throw error
    }
  }

  #apply(settings: Settings): void {
    this.current = settings
    lastTheme.write(settings.theme)
  }

  dispose(): void {
    this.#listening.dispose()
  }
}
