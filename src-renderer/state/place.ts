/**
 * Where the window is, as the address's fragment, so that reload and a second window keep the place: `#/machine/<id>/<tab>`,
 * `#/display/<id>` (a window that shows one machine's screen and nothing else), `#/networks/<view>/<what is chosen>`, `#/activity`, `#/doctor`, `#/settings`, `#/terminal`; anything else is home. Pure.
 */
export const MACHINE_TABS = ['console', 'display', 'snapshots', 'metrics', 'hardware', 'notes'] as const
export type MachineTab = (typeof MACHINE_TABS)[number]

export const NETWORKS_TABS = ['map', 'packets', 'alerts'] as const
export type NetworksTab = (typeof NETWORKS_TABS)[number]

export type Place =
  | { page: 'home' }
  /** Without a tab: the one that the machine's own screen or console is on. */
  | { page: 'machine'; id: string; tab: MachineTab | null }
  | { page: 'display'; id: string }
  /** `focus`: what is chosen there: `network/<name>`, `router/<name>`, `machine/<id>/<nic>`, `alert/<id>`; null: nothing. */
  | { page: 'networks'; view: NetworksTab; focus: string | null }
  | { page: 'activity' }
  | { page: 'doctor' }
  | { page: 'settings' }
  | { page: 'terminal' }

const PAGES = ['activity', 'doctor', 'settings', 'terminal'] as const

export function parsePlace(hash: string): Place {
  const [page = '', id = '', tab = ''] = hash.replace(/^#?\/?/, '').split('/')
  if (page === 'machine' && id !== '') return { page, id: decode(id), tab: MACHINE_TABS.find((known) => known === tab) ?? null }
  if (page === 'display' && id !== '') return { page, id: decode(id) }
  if (page === 'networks')
    return { page, view: NETWORKS_TABS.find((known) => known === id) ?? 'map', focus: tab === '' ? null : decode(tab) }
  const known = PAGES.find((candidate) => candidate === page)
  return known ? { page: known } : { page: 'home' }
}

export function placeHash(place: Place): string {
  if (place.page === 'home') return '#/'
  if (place.page === 'machine') return `#/machine/${encodeURIComponent(place.id)}${place.tab === null ? '' : `/${place.tab}`}`
  if (place.page === 'display') return `#/display/${encodeURIComponent(place.id)}`
  if (place.page === 'networks') {
    const focus = place.focus === null ? '' : `/${encodeURIComponent(place.focus)}`
    return `#/networks${place.view === 'map' && focus === '' ? '' : `/${place.view}`}${focus}`
  }
  return `#/${place.page}`
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
