/**
 * Where the snapshots of a machine stand in its tree: the oldest at the top, what came from a snapshot below it, the present state among them. A tidy
 * tree (Reingold and Tilford, "Tidier drawings of trees", 1981) as d3-hierarchy computes it. Pure.
 */
import { hierarchy, tree as tidyTree } from 'd3-hierarchy'
import type { SnapshotTree } from '../../../../src-shared/model/snapshot.ts'

/** Stands for the machine's present state where a snapshot's id is asked for. */
export const HERE = 'here'
/** Stands for the machine as it was made, above the first snapshots. */
const ORIGIN = ''

/** Pixels. */
export interface CardSizes {
  width: number
  height: number
  /** Between neighbours. */
  gap: number
  /** Between a card and what came from it. */
  drop: number
}

/** A card: a snapshot's, or the present state's. */
export interface Spot {
  /** A snapshot's id, or HERE. */
  id: string
  parent: string | null
  /** Pixels from the drawing's left and upper edge. */
  left: number
  top: number
  /** 1 for the first ones. */
  level: number
  /** Among the children of the same parent, from 1, and how many those are. */
  position: number
  siblings: number
  /** On the way to the present state, which is on it, too. */
  trunk: boolean
}

export interface Edge {
  id: string
  /** Of an SVG path. */
  d: string
  trunk: boolean
}

export interface Layout {
  /** Every parent before its children; of children, the oldest first, and the present state last. */
  spots: Spot[]
  edges: Edge[]
  width: number
  height: number
  /** The middle of the machine as it was made, where several snapshots came from it; null: only one did. */
  origin: { x: number; y: number } | null
}

export function layOut(tree: Pick<SnapshotTree, 'snapshots' | 'current'>, sizes: CardSizes): Layout {
  const children = new Map<string, string[]>()
  const put = (id: string, parent: string | null): void => {
    const key = parent ?? ORIGIN
    children.set(key, [...(children.get(key) ?? []), id])
  }
  for (const { id, parent } of tree.snapshots) put(id, parent)
  put(HERE, tree.current)

  const root = tidyTree<string>()
    .nodeSize([sizes.width + sizes.gap, sizes.height + sizes.drop])
    .separation(() => 1)(hierarchy(ORIGIN, (id) => children.get(id) ?? null))
  const trunk = new Set(
    root
      .find((node) => node.data === HERE)!
      .ancestors()
      .map((node) => node.data),
  )

  const nodes = root.descendants().slice(1)
  const leftmost = Math.min(...nodes.map((node) => node.x))
  const several = (root.children?.length ?? 0) > 1
  // Where one snapshot is the first, nothing is drawn above it.
  const above = several ? sizes.drop : 0
  const left = (x: number): number => Math.round(x - leftmost)
  const top = (depth: number): number => (depth - 1) * (sizes.height + sizes.drop) + above
  const middle = (x: number): number => left(x) + sizes.width / 2

  return {
    spots: nodes.map((node) => ({
      id: node.data,
      parent: node.parent!.data === ORIGIN ? null : node.parent!.data,
      left: left(node.x),
      top: top(node.depth),
      level: node.depth,
      position: node.parent!.children!.indexOf(node) + 1,
      siblings: node.parent!.children!.length,
      trunk: trunk.has(node.data),
    })),
    edges: nodes
      .filter((node) => several || node.depth > 1)
      .map((node) => {
        const parent = node.parent!
        const from = parent.depth === 0 ? 0 : top(parent.depth) + sizes.height
        return {
          id: node.data,
          d: bent(middle(parent.x), from, middle(node.x), top(node.depth)),
          trunk: trunk.has(node.data),
        }
      }),
    width: Math.max(...nodes.map((node) => left(node.x))) + sizes.width,
    height: Math.max(...nodes.map((node) => top(node.depth))) + sizes.height,
    origin: several ? { x: middle(root.x), y: 0 } : null,
  }
}

/** Of the bends of an edge, pixels. */
const RADIUS = 10

/** Down, over, and down again, with round bends. */
function bent(x0: number, y0: number, x1: number, y1: number): string {
  if (x0 === x1) return `M${x0},${y0}V${y1}`
  const half = (y0 + y1) / 2
  const radius = Math.min(RADIUS, half - y0, Math.abs(x1 - x0) / 2)
  const turn = Math.sign(x1 - x0) * radius
  return `M${x0},${y0}V${half - radius}Q${x0},${half} ${x0 + turn},${half}H${x1 - turn}Q${x1},${half} ${x1},${half + radius}V${y1}`
}

/** Where a key leads from a card, as the drawing looks; null: nowhere, or the key is none of the tree's. */
export function spotByKey({ spots }: Pick<Layout, 'spots'>, from: string, key: string): Spot | null {
  const here = spots.find(({ id }) => id === from)
  if (!here) return null
  const nearest = (candidates: Spot[]): Spot | null =>
    candidates.sort((a, b) => Math.abs(a.left - here.left) - Math.abs(b.left - here.left))[0] ?? null
  switch (key) {
    case 'ArrowUp':
      return spots.find(({ id }) => id === here.parent) ?? null
    case 'ArrowDown': {
      const next = spots.filter(({ parent }) => parent === here.id)
      return next.find(({ trunk }) => trunk) ?? nearest(next)
    }
    case 'ArrowLeft':
      return nearest(spots.filter(({ level, left }) => level === here.level && left < here.left))
    case 'ArrowRight':
      return nearest(spots.filter(({ level, left }) => level === here.level && left > here.left))
    case 'Home':
      return spots[0] ?? null
    case 'End':
      return spots.find(({ id }) => id === HERE) ?? null
    default:
      return null
  }
}
