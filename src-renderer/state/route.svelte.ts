/** Where the window is; place.ts says how the address tells it. */
import { createSubscriber } from 'svelte/reactivity'
import { parsePlace, placeHash, type MachineTab, type Place } from './place.ts'

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
    if (place.page === 'machine' && place.tab !== null) this.#tabs.set(place.id, place.tab)
    location.hash = placeHash(place)
  }

  machine(id: string, tab?: MachineTab): void {
    this.go({ page: 'machine', id, tab: tab ?? this.#tabs.get(id) ?? null })
  }

  /** Whether the window shows this machine: then what goes wrong with it stands there. */
  shows(machine: string): boolean {
    return 'id' in this.place && this.place.id === machine
  }

  /** Leaves no step in the history: for places that the window chose by itself. */
  replace(place: Place): void {
    history.replaceState(null, '', placeHash(place))
    window.dispatchEvent(new HashChangeEvent('hashchange'))
  }
}
