/**
 * Where the window is, in the address's fragment, so that reload and a second window keep the place: `#/machine/<id>/<tab>`,
 * `#/activity`, `#/doctor`, `#/settings`, `#/terminal`; anything else is home.
 */
import { createSubscriber } from 'svelte/reactivity'

export const MACHINE_TABS = ['console', 'metrics', 'hardware', 'notes'] as const
export type MachineTab = (typeof MACHINE_TABS)[number]

export type Place =
  | { page: 'home' }
  | { page: 'machine'; id: string; tab: MachineTab }
  | { page: 'activity' }
  | { page: 'doctor' }
  | { page: 'settings' }
  | { page: 'terminal' }

const PAGES = ['activity', 'doctor', 'settings', 'terminal'] as const

export function parsePlace(hash: string): Place {
  const [page = '', id = '', tab = ''] = hash.replace(/^#?\/?/, '').split('/')
  if (page === 'machine' && id !== '') return { page, id: decode(id), tab: MACHINE_TABS.find((known) => known === tab) ?? 'console' }
  const known = PAGES.find((candidate) => candidate === page)
  return known ? { page: known } : { page: 'home' }
}

export function placeHash(place: Place): string {
  if (place.page === 'home') return '#/'
  if (place.page === 'machine') return `#/machine/${encodeURIComponent(place.id)}/${place.tab}`
  return `#/${place.page}`
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export class Route {
  #subscribe = createSubscriber((update) => {
    window.addEventListener('hashchange', update)
    return () => window.removeEventListener('hashchange', update)
  })
  readonly place: Place = $derived.by(() => {
    this.#subscribe()
    return parsePlace(location.hash)
  })
  /** The tab that was last looked at, by machine: coming back to a machine comes back to it. */
  #tabs = new Map<string, MachineTab>()

  go(place: Place): void {
    if (place.page === 'machine') this.#tabs.set(place.id, place.tab)
    location.hash = placeHash(place)
  }

  machine(id: string, tab?: MachineTab): void {
    this.go({ page: 'machine', id, tab: tab ?? this.#tabs.get(id) ?? 'console' })
  }

  /** Leaves no step in the history: for places that the window chose by itself. */
  replace(place: Place): void {
    history.replaceState(null, '', placeHash(place))
    window.dispatchEvent(new HashChangeEvent('hashchange'))
  }
}
