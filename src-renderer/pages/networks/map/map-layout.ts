/**
 * Where things stand on the map while nobody put them elsewhere. Pure.
 *
 * Each network has a block: the network above, the machines whose first card is in it below, in columns. Blocks stand side by side on as many shelves as give the whole about the
 * shape of a window; routers stand above the networks of their shelf, the outside above all. Between machines there are aisles of the same widths, in which links run (map-routes.ts).
 */
import type { NetworkView, NicView, RouterView } from '../../../../src-shared/api/networks.ts'

export interface Point {
  x: number
  y: number
}
export interface MapMachine {
  machine: string
  name: string
  nics: NicView[]
}

export const OUTSIDE = 'outside'
/** As the tokens --map-… draw them, px. */
export const SIZE = {
  machine: { width: 184, height: 60 },
  network: { width: 216, height: 72 },
  router: { width: 144, height: 40 },
  outside: { width: 144, height: 40 },
} as const
/** Between neighbours: links run in the middle of it. */
export const AISLE = { width: 32, height: 48 } as const
const BLOCK_GAP = 64
const SHELF_GAP = 72
/** Width to height of the whole: between a window with details beside the map and one without. */
const SHAPE = 1.4
const CELL = { width: SIZE.machine.width + AISLE.width, height: SIZE.machine.height + AISLE.height } as const

interface Block {
  /** Null: of machines that are plugged in nowhere. */
  network: string | null
  machines: readonly MapMachine[]
  columns: number
  width: number
  height: number
}

export function leadsOut({ network: { kind } }: NetworkView): boolean {
  return kind === 'nat' || kind === 'bridged'
}

/** By what stands there: `network/<name>`, `router/<name>`, `machine/<id>`, `outside`. */
export function mapLayout(
  networks: readonly NetworkView[],
  routers: readonly RouterView[],
  machines: readonly MapMachine[],
): Map<string, Point> {
  const home = (machine: MapMachine): string | null => machine.nics.find((nic) => nic.network !== null)?.network ?? null
  const loose = machines.filter((machine) => home(machine) === null)
  const blocks = networks.map(({ network: { name } }) =>
    blockOf(
      name,
      machines.filter((machine) => home(machine) === name),
    ),
  )
  if (loose.length > 0) blocks.push(blockOf(null, loose))
  const shelves = shelvesOf(blocks)
  const shelfOf = new Map(shelves.flatMap((shelf, at) => shelf.map(({ network }) => [network, at] as const)))
  const routersOf = shelves.map((_, at) => routers.filter((router) => routerShelf(router, shelfOf) === at))

  const places = new Map<string, Point>()
  const centres = new Map<string, number>()
  const widest = Math.max(0, ...shelves.map(widthOf))
  let top = networks.some(leadsOut) ? SIZE.outside.height + AISLE.height : 0
  shelves.forEach((shelf, at) => {
    const own = routersOf[at]!
    const networkTop = top + (own.length > 0 ? SIZE.router.height + AISLE.height : 0)
    const machineTop = networkTop + SIZE.network.height + AISLE.height
    let left = (widest - widthOf(shelf)) / 2
    for (const block of shelf) {
      const centre = left + block.width / 2
      if (block.network !== null) {
        centres.set(block.network, centre)
        places.set(`network/${block.network}`, { x: centre - SIZE.network.width / 2, y: networkTop })
      }
      const start = centre - (block.columns * CELL.width - AISLE.width) / 2
      block.machines.forEach(({ machine }, index) =>
        places.set(`machine/${machine}`, {
          x: start + (index % block.columns) * CELL.width,
          y: machineTop + Math.floor(index / block.columns) * CELL.height,
        }),
      )
      left += block.width + BLOCK_GAP
    }
    const taken: number[] = []
    for (const { router } of own) {
      const joined = router.interfaces.filter(({ network }) => shelfOf.get(network) === at).map(({ network }) => centres.get(network)!)
      let x = mean(joined) - SIZE.router.width / 2
      while (taken.some((other) => Math.abs(other - x) < SIZE.router.width + AISLE.width)) x += SIZE.router.width + AISLE.width
      taken.push(x)
      places.set(`router/${router.name}`, { x, y: top })
    }
    top = networkTop + Math.max(...shelf.map(({ height }) => height)) + SHELF_GAP
  })
  const above = networks.filter((view) => leadsOut(view) && shelfOf.get(view.network.name) === 0)
  places.set(OUTSIDE, { x: mean(above.map(({ network }) => centres.get(network.name)!)) - SIZE.outside.width / 2, y: 0 })
  return places
}

function blockOf(network: string | null, machines: readonly MapMachine[]): Block {
  const columns = Math.max(1, Math.ceil(Math.sqrt((machines.length * CELL.height) / CELL.width)))
  const rows = Math.ceil(machines.length / columns)
  return {
    ...{ network, machines, columns },
    width: Math.max(network === null ? 0 : SIZE.network.width, columns * CELL.width - AISLE.width),
    height: SIZE.network.height + (rows === 0 ? 0 : AISLE.height + rows * CELL.height - AISLE.height),
  }
}

function widthOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { width }) => sum + width, 0) + Math.max(0, blocks.length - 1) * BLOCK_GAP
}

/** In their order, on as many shelves as come nearest to the shape. */
function shelvesOf(blocks: readonly Block[]): Block[][] {
  let best: Block[][] = []
  let least = Infinity
  for (let count = 1; count <= blocks.length; count++) {
    const shelves = filled(blocks, widthOf(blocks) / count, count)
    const width = Math.max(...shelves.map(widthOf))
    const height = shelves.reduce((sum, shelf) => sum + Math.max(...shelf.map((block) => block.height)) + SHELF_GAP, 0)
    const off = Math.abs(Math.log(width / height / SHAPE))
    if (off < least) [best, least] = [shelves, off]
  }
  return best
}

function filled(blocks: readonly Block[], wanted: number, most: number): Block[][] {
  const shelves: Block[][] = []
  let used = Infinity
  for (const block of blocks) {
    // A block that would stand out by more than half of itself begins the next shelf.
    if (shelves.length < most && used + block.width / 2 > wanted) {
      shelves.push([])
      used = 0
    }
    shelves.at(-1)!.push(block)
    used += block.width + BLOCK_GAP
  }
  return shelves
}

/** Where most of its networks are; the uppermost of those. */
function routerShelf({ router }: RouterView, shelfOf: ReadonlyMap<string | null, number>): number {
  const counts = new Map<number, number>()
  for (const { network } of router.interfaces) {
    const shelf = shelfOf.get(network)
    if (shelf !== undefined) counts.set(shelf, (counts.get(shelf) ?? 0) + 1)
  }
  return [...counts].sort(([a, many], [b, more]) => more - many || a - b)[0]?.[0] ?? 0
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, one) => sum + one, 0) / values.length
}
