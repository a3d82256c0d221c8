/** What the map shows, from what there is: things with their places, and the links between them. Pure. */
import { compareNames } from '../../../state/names.ts'
import type { NetworkView, NicView, RouterView } from '../../../../src-shared/api/networks.ts'
import { leadsOut, mapLayout, OUTSIDE, SIZE, type MapMachine, type Point } from './map-layout.ts'
import type { Box, Wanted } from './map-routes.ts'

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

export function mapModel(
  networks: readonly NetworkView[],
  routers: readonly RouterView[],
  nics: readonly NicView[],
  places: Readonly<Record<string, Point>>,
): MapModel {
  const machines = withCards(nics)
  const auto = mapLayout(networks, routers, machines)
  const at = (id: string): Point => places[id] ?? auto.get(id) ?? { x: 0, y: 0 }
  const leadOut = networks.filter(leadsOut)
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

function withCards(nics: readonly NicView[]): MapMachine[] {
  const found = new Map<string, MapMachine>()
  for (const nic of nics) {
    const machine = found.get(nic.machine)
    if (machine) machine.nics.push(nic)
    else found.set(nic.machine, { machine: nic.machine, name: nic.name, nics: [nic] })
  }
  for (const { nics: own } of found.values()) own.sort((a, b) => compareNames(a.nic, b.nic))
  return [...found.values()].sort((a, b) => compareNames(a.name, b.name) || (a.machine < b.machine ? -1 : 1))
}

/** What links are routed round, and from where to where. */
export function routeInput({ things, links }: MapModel): { boxes: Box[]; wanted: Wanted[] } {
  const boxes = things.map((thing) => ({ id: thing.id, ...thing.at, ...SIZE[thing.kind] }))
  const byId = new Map(things.map((thing) => [thing.id, thing]))
  const wanted = links.map((link): Wanted => {
    const [box, network] = link.kind === 'outside' ? [link.to, link.from] : [link.from, link.to]
    return { id: link.id, box, network, ports: portsOf(byId.get(box)!, link.handle) }
  })
  return { boxes, wanted }
}

function portsOf(thing: MapThing, handle: string | null): Wanted['ports'] {
  const middle = SIZE[thing.kind].width / 2
  if (thing.kind !== 'machine')
    return thing.kind === 'outside'
      ? [{ side: 'bottom', x: middle }]
      : [
          { side: 'top', x: middle },
          { side: 'bottom', x: middle },
        ]
  return [{ side: 'top', x: plugShare(thing.nics, handle) * SIZE.machine.width }]
}

/** Where a card's plug is, of the machine's width: in the middle of the card's share. */
export function plugShare(nics: readonly NicView[], nic: string | null): number {
  return (nics.findIndex((one) => one.nic === nic) + 0.5) / nics.length
}

const DIRECTIONS: Record<string, (by: Point) => [along: number, aside: number]> = {
  ArrowLeft: ({ x, y }) => [-x, Math.abs(y)],
  ArrowRight: ({ x, y }) => [x, Math.abs(y)],
  ArrowUp: ({ x, y }) => [-y, Math.abs(x)],
  ArrowDown: ({ x, y }) => [y, Math.abs(x)],
}

/** The nearest thing in the direction of an arrow key, from the middle of one to those of others; what lies aside counts twice. Null: there is none, or it is another key. */
export function nextThing(things: readonly MapThing[], from: string, key: string): string | null {
  const direction = DIRECTIONS[key]
  const start = things.find(({ id }) => id === from)
  if (!direction || !start) return null
  const middle = ({ kind, at }: MapThing): Point => ({ x: at.x + SIZE[kind].width / 2, y: at.y + SIZE[kind].height / 2 })
  const here = middle(start)
  const reached = things.flatMap((thing) => {
    const { x, y } = middle(thing)
    const [along, aside] = direction({ x: x - here.x, y: y - here.y })
    return along > 0 && aside <= 2 * along ? [{ id: thing.id, far: along + 2 * aside }] : []
  })
  return reached.sort((a, b) => a.far - b.far)[0]?.id ?? null
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
