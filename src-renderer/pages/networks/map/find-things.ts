/** Looking for things on the map. Pure. */
import type { MapThing } from './map-model.ts'

/** Ids of what fits, in the order of the map: by name, and by addresses of IP and Ethernet. Empty text: nothing. */
export function findThings(things: readonly MapThing[], text: string): string[] {
  const wanted = text.trim().toLowerCase()
  if (wanted === '') return []
  return things.flatMap((thing) => (wordsOf(thing).some((word) => word?.toLowerCase().includes(wanted)) ? [thing.id] : []))
}

function wordsOf(thing: MapThing): readonly (string | null)[] {
  switch (thing.kind) {
    case 'network': {
      const { network, gateway, domain } = thing.network
      return [network.name, network.ipv4, network.ipv6, gateway?.ipv4 ?? null, gateway?.ipv6 ?? null, gateway ? domain : null]
    }
    case 'router':
      return [thing.router.router.name, ...thing.router.router.interfaces.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6])]
    case 'machine':
      return [thing.name, ...thing.nics.flatMap(({ mac, addresses }) => [mac, ...addresses])]
    case 'outside':
      return ['outside']
  }
}
