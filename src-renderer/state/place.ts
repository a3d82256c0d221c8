/**
 * Where the window is, as the address's fragment, so that reload and a second window keep the place: `#/machine/<id>/<tab>`,
 * `#/activity`, `#/doctor`, `#/settings`, `#/terminal`; anything else is home. Pure.
 */
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
