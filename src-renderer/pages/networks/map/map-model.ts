/** What the map shows, from what there is: things with their places, and the links between them. Pure. */
import { compareNames } from '../../../state/names.ts'
import type { NetworkView, NicView, RouterView } from '../../../../src-shared/api/networks.ts'

export interface Point {
  x: number
  y: number
}

export type MapThing =
  | { kind: 'network'; id: string; network: NetworkView; at: Point }
  | { kind: 'router'; id: string; router: RouterView; at: Point }
  | { kind: 'machine'; id: string; machine: string; name: string; nics: NicView[]; at: Point }
  | { kind: 'outside'; id: string; at: Point }

export interface MapLink {
  /** What is chosen by it: `machine/<id>/<nic>`, `router/<name>/<network>`, `outside/<network>`. */
  id: string
  /** Whose traffic it shows: `machine/nic`, or the network's gateway. */
  port: string | null
  from: string
  /** The card of a machine. */
  handle: string | null
  to: string
  kind: 'card' | 'router' | 'outside'
  nic: NicView | null
}

export interface MapModel {
  things: MapThing[]
  links: MapLink[]
}

const OUTSIDE = 'outside'
/** Places where nobody put anything: networks in a row, what leads out above, machines below. */
const ROW = { outside: 0, routers: 96, networks: 208, machines: 376 } as const
const CELL = { width: 208, height: 112 } as const
/** At the least; of many machines there are more in a row than rows. */
const COLUMNS = 3
const GAP = 48
const NETWORK_WIDTH = 216
const ROUTER_WIDTH = 144

export function mapModel(
  networks: readonly NetworkView[],
  routers: readonly RouterView[],
  nics: readonly NicView[],
  places: Readonly<Record<string, Point>>,
): MapModel {
  const machines = machinesOf(nics)
  const auto = autoPlaces(networks, routers, machines)
  const at = (id: string): Point => places[id] ?? auto.get(id) ?? { x: 0, y: 0 }
  const leadOut = networks.filter(({ network }) => network.kind === 'nat' || network.kind === 'bridged')
  const things: MapThing[] = [
    ...(leadOut.length > 0 ? [{ kind: 'outside' as const, id: OUTSIDE, at: at(OUTSIDE) }] : []),
    ...networks.map((network) => {
      const id = `network/${network.network.name}`
      return { kind: 'network' as const, id, network, at: at(id) }
    }),
    ...routers.map((router) => {
      const id = `router/${router.router.name}`
      return { kind: 'router' as const, id, router, at: at(id) }
    }),
    ...machines.map(({ machine, name, nics: own }) => {
      const id = `machine/${machine}`
      return { kind: 'machine' as const, id, machine, name, nics: own, at: at(id) }
    }),
  ]
  const known = new Set(things.map(({ id }) => id))
  const links: MapLink[] = [
    ...leadOut.map(({ network: { name } }) => ({
      ...{ id: `outside/${name}`, port: name, from: `network/${name}`, handle: null, to: OUTSIDE, kind: 'outside' as const, nic: null },
    })),
    ...routers.flatMap(({ router }) =>
      router.interfaces.map(({ network }) => ({
        ...{ id: `router/${router.name}/${network}`, port: null, from: `router/${router.name}`, handle: null },
        ...{ to: `network/${network}`, kind: 'router' as const, nic: null },
      })),
    ),
    ...nics.flatMap((nic) =>
      nic.network === null
        ? []
        : [
            {
              ...{ id: `machine/${nic.machine}/${nic.nic}`, port: `${nic.machine}/${nic.nic}`, from: `machine/${nic.machine}` },
              ...{ handle: nic.nic, to: `network/${nic.network}`, kind: 'card' as const, nic },
            },
          ],
    ),
  ]
  return { things, links: links.filter(({ from, to }) => known.has(from) && known.has(to)) }
}

interface MapMachine {
  machine: string
  name: string
  nics: NicView[]
}

function machinesOf(nics: readonly NicView[]): MapMachine[] {
  const found = new Map<string, MapMachine>()
  for (const nic of nics) {
    const machine = found.get(nic.machine)
    if (machine) machine.nics.push(nic)
    else found.set(nic.machine, { machine: nic.machine, name: nic.name, nics: [nic] })
  }
  for (const { nics: own } of found.values()) own.sort((a, b) => (a.nic < b.nic ? -1 : 1))
  return [...found.values()].sort((a, b) => compareNames(a.name, b.name) || (a.machine < b.machine ? -1 : 1))
}

/** Each network above the machines whose first card is in it; those that are in none at the end. */
function autoPlaces(networks: readonly NetworkView[], routers: readonly RouterView[], machines: readonly MapMachine[]): Map<string, Point> {
  const places = new Map<string, Point>()
  const centres = new Map<string, number>()
  let left = 0
  const place = (own: readonly MapMachine[], minimum: number): number => {
    const columns = Math.max(1, Math.min(own.length, Math.max(COLUMNS, Math.ceil(Math.sqrt(1.5 * own.length)))))
    const width = Math.max(minimum, columns * CELL.width)
    const start = left + (width - columns * CELL.width) / 2
    own.forEach(({ machine }, index) =>
      places.set(`machine/${machine}`, {
        x: start + (index % columns) * CELL.width,
        y: ROW.machines + Math.floor(index / columns) * CELL.height,
      }),
    )
    const centre = left + width / 2
    left += width + GAP
    return centre
  }
  for (const { network } of networks) {
    const own = machines.filter(({ nics }) => nics.find((nic) => nic.network !== null)?.network === network.name)
    const centre = place(own, NETWORK_WIDTH)
    centres.set(network.name, centre)
    places.set(`network/${network.name}`, { x: centre - NETWORK_WIDTH / 2, y: ROW.networks })
  }
  place(
    machines.filter(({ nics }) => nics.every((nic) => nic.network === null)),
    0,
  )
  const meanOf = (names: readonly string[]): number => {
    const known = names.flatMap((name) => centres.get(name) ?? [])
    return known.length === 0 ? 0 : known.reduce((sum, one) => sum + one, 0) / known.length
  }
  const taken: number[] = []
  for (const { router } of routers) {
    let x = meanOf(router.interfaces.map(({ network }) => network)) - ROUTER_WIDTH / 2
    while (taken.some((other) => Math.abs(other - x) < ROUTER_WIDTH + GAP)) x += ROUTER_WIDTH + GAP
    taken.push(x)
    places.set(`router/${router.name}`, { x, y: ROW.routers })
  }
  const out = networks.filter(({ network }) => network.kind === 'nat' || network.kind === 'bridged').map(({ network }) => network.name)
  places.set(OUTSIDE, { x: meanOf(out) - ROUTER_WIDTH / 2, y: routers.length === 0 ? ROW.routers : ROW.outside })
  return places
}

/** How wide a link is drawn, px: by the power of ten of what passes. @param bytesPerSecond both ways together */
export function linkWidth(bytesPerSecond: number): number {
  return bytesPerSecond <= 0 ? 1.5 : 2 + Math.min(6, Math.log10(1 + bytesPerSecond / 100) * 1.2)
}

/** What a link that somebody draws would join; in either direction. Null: nothing that can be joined. */
export function joinOf({
  source,
  sourceHandle,
  target,
  targetHandle,
}: {
  source: string
  sourceHandle?: string | null
  target: string
  targetHandle?: string | null
}): { kind: 'card'; machine: string; nic: string; network: string } | { kind: 'router'; router: string; network: string } | null {
  for (const [from, handle, to] of [
    [source, sourceHandle, target],
    [target, targetHandle, source],
  ] as const) {
    const [kind, name] = split(from)
    const [other, network] = split(to)
    if (other !== 'network') continue
    if (kind === 'machine' && handle) return { kind: 'card', machine: name, nic: handle, network }
    if (kind === 'router') return { kind: 'router', router: name, network }
  }
  return null
}

function split(id: string): [string, string] {
  const at = id.indexOf('/')
  return at < 0 ? [id, ''] : [id.slice(0, at), id.slice(at + 1)]
}
