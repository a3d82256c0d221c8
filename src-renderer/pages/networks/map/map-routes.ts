/**
 * Ways of links round what stands on the map. Pure.
 *
 * Links run in aisles: on lines half an aisle beside, above and below each thing (where things stand as map-layout.ts puts them, neighbours share these lines). From each network a
 * search for the shortest way (Dijkstra, "A note on two problems in connexion with graphs", 1959) goes over the crossings of these lines; turning costs, things are in the way. All
 * links of a network follow its one tree, so that they run together like the wires of a bus; those of other networks run beside them, on a lane of their own.
 */
import { AISLE, type Point } from './map-layout.ts'

export interface Box extends Point {
  id: string
  width: number
  height: number
}
/** A plug at the upper or lower side of a thing. */
export interface Port {
  side: 'top' | 'bottom'
  x: number
  y: number
}
export interface Wanted {
  /** Of the link. */
  id: string
  /** Of the thing at its other end. */
  box: string
  /** Where it may begin, px right of the box's left edge. */
  ports: { side: Port['side']; x: number }[]
  /** Id of the network's box. */
  network: string
}
export interface Route {
  from: Port
  to: Port
  /** Between the two plugs: corners, in order. */
  corners: Point[]
}

const BESIDE = AISLE.width / 2
const ABOVE = AISLE.height / 2
/** px of way that a turn is worth. */
const TURN = 60
const LANES = 5
const LANE = 5
/** No line is nearer to a thing, px: the outermost lane, and a little. */
const CLEARANCE = ((LANES - 1) / 2) * LANE + 2
/** Steps of all searches together: 100 machines in 10 networks take a third of it. Beyond, links are drawn without regard to things. */
const MAX_STEPS = 600_000

/** By link; what has no way, or where there is too much to look for one, is left out. */
export function routeLinks(boxes: readonly Box[], wanted: readonly Wanted[]): Map<string, Route> {
  const routes = new Map<string, Route>()
  const byId = new Map(boxes.map((box) => [box.id, box]))
  const aisles = new Aisles(boxes)
  const targets = [...new Set(wanted.map(({ network }) => network))]
  if (aisles.crossings * 2 * targets.length > MAX_STEPS) return routes
  targets.forEach((network, index) => {
    const box = byId.get(network)
    if (!box) return
    const lane = ((index % LANES) - (LANES - 1) / 2) * LANE
    const tree = aisles.search(portsOf(box, [{ side: 'top', x: box.width / 2 }, { side: 'bottom', x: box.width / 2 }])) // prettier-ignore
    for (const want of wanted) {
      const from = want.network === network ? byId.get(want.box) : undefined
      const way = from && tree.way(portsOf(from, want.ports))
      if (way) routes.set(want.id, { ...way, corners: onLane(way.corners, way.from, way.to, lane) })
    }
  })
  return routes
}

function portsOf(box: Box, ports: Wanted['ports']): Port[] {
  return ports.map(({ side, x }) => ({ side, x: box.x + x, y: side === 'top' ? box.y : box.y + box.height }))
}

/** Upright stubs, and what goes on straight from them, stay at their plugs. */
function onLane(corners: readonly Point[], from: Port, to: Port, lane: number): Point[] {
  const last = corners.length - 1
  const isStub = (at: number, end: number, port: Port): boolean => at === end || (Math.abs(at - end) === 1 && corners[at]!.x === port.x)
  return corners.map(({ x, y }, at) => ({
    x: isStub(at, 0, from) ? from.x : isStub(at, last, to) ? to.x : x + lane,
    y: y + lane,
  }))
}

/** A line that a port's stub ends at. */
function lineOf({ side, y }: Port): number {
  return Math.round(side === 'top' ? y - ABOVE : y + ABOVE)
}

interface Tree {
  /** The shortest of those from one of the ports. */
  way(ports: readonly Port[]): Route | null
}

class Aisles {
  readonly #xs: number[]
  readonly #ys: number[]
  readonly #boxes: readonly Box[]
  /** Whether the piece right of (below) a crossing is free. */
  readonly #right: Uint8Array
  readonly #below: Uint8Array

  constructor(boxes: readonly Box[]) {
    this.#boxes = boxes
    this.#xs = sorted(boxes.flatMap(({ x, width }) => [x - BESIDE, x + width + BESIDE]))
    this.#ys = sorted(boxes.flatMap(({ y, height }) => [y - ABOVE, y + height + ABOVE]))
    this.#right = new Uint8Array(this.crossings).fill(1)
    this.#below = new Uint8Array(this.crossings).fill(1)
    const columns = this.#xs.length
    for (const box of boxes) {
      const [left, right] = [box.x - CLEARANCE, box.x + box.width + CLEARANCE]
      const [top, bottom] = [box.y - CLEARANCE, box.y + box.height + CLEARANCE]
      this.#xs.forEach((x, column) => {
        const next = this.#xs[column + 1] ?? x
        if (next < left || x > right) return
        this.#ys.forEach((y, row) => {
          const under = this.#ys[row + 1] ?? y
          if (under < top || y > bottom) return
          const at = row * columns + column
          if (y > top && y < bottom && next > left && x < right) this.#right[at] = 0
          if (x > left && x < right && under > top && y < bottom) this.#below[at] = 0
        })
      })
    }
  }

  get crossings(): number {
    return this.#xs.length * this.#ys.length
  }

  /** Ways to the nearest of the ports, from everywhere. States are crossings, by the direction (0: along, 1: upright) in which one leaves them towards the port. */
  search(goals: readonly Port[]): Tree {
    const [xs, ys] = [this.#xs, this.#ys]
    const columns = xs.length
    const cost = new Float64Array(this.crossings * 2).fill(Infinity)
    /** The state after this one; below zero: the goal of that number, less one. */
    const next = new Int32Array(this.crossings * 2)
    const heap = new Heap()
    const offer = (state: number, price: number, after: number): void => {
      if (price >= cost[state]!) return
      cost[state] = price
      next[state] = after
      heap.push(state, price)
    }
    goals.forEach((goal, number) => {
      const row = ys.indexOf(lineOf(goal))
      for (const column of this.#reached(goal.x, row))
        offer((row * columns + column) * 2, Math.abs(xs[column]! - goal.x) + TURN, -number - 1)
    })
    for (let state = heap.pop(); state !== null; state = heap.pop()) {
      const [at, way, price] = [state >> 1, state & 1, cost[state]!]
      const [column, row] = [at % columns, Math.floor(at / columns)]
      const go = (to: number, direction: number, length: number): void =>
        offer(to * 2 + direction, price + length + (direction === way ? 0 : TURN), state)
      if (column > 0 && this.#right[at - 1]) go(at - 1, 0, xs[column]! - xs[column - 1]!)
      if (column + 1 < columns && this.#right[at]) go(at + 1, 0, xs[column + 1]! - xs[column]!)
      if (row > 0 && this.#below[at - columns]) go(at - columns, 1, ys[row]! - ys[row - 1]!)
      if (row + 1 < ys.length && this.#below[at]) go(at + columns, 1, ys[row + 1]! - ys[row]!)
    }
    return { way: (ports) => this.#way(ports, goals, cost, next) }
  }

  #way(ports: readonly Port[], goals: readonly Port[], cost: Float64Array, next: Int32Array): Route | null {
    const columns = this.#xs.length
    let best: { port: Port; price: number; state: number } | null = null
    for (const port of ports) {
      const y = lineOf(port)
      const row = this.#ys.indexOf(y)
      for (const goal of goals) {
        const length = Math.abs(goal.x - port.x)
        if (lineOf(goal) === y && (best === null || length < best.price) && this.#isFree(port.x, goal.x, y))
          best = { port, price: length, state: -goals.indexOf(goal) - 1 }
      }
      for (const column of this.#reached(port.x, row))
        for (const way of [0, 1]) {
          const state = (row * columns + column) * 2 + way
          const price = cost[state]! + Math.abs(this.#xs[column]! - port.x) + (way === 0 ? 0 : TURN)
          if (price < Infinity && (best === null || price < best.price)) best = { port, price, state }
        }
    }
    if (!best) return null
    const { port } = best
    const points: Point[] = [{ x: port.x, y: lineOf(port) }]
    let { state } = best
    for (; state >= 0; state = next[state]!) {
      const at = state >> 1
      points.push({ x: this.#xs[at % columns]!, y: this.#ys[Math.floor(at / columns)]! })
    }
    const to = goals[-state - 1]!
    points.push({ x: to.x, y: lineOf(to) })
    return { from: port, to, corners: cornersOf(points) }
  }

  /** The next crossings to the left and right on a line, where nothing is between. */
  #reached(x: number, row: number): number[] {
    if (row < 0) return []
    const right = this.#xs.findIndex((one) => one >= x)
    const columns = right < 0 ? [this.#xs.length - 1] : [right - 1, right]
    return columns.filter((column) => column >= 0 && this.#isFree(this.#xs[column]!, x, this.#ys[row]!))
  }

  #isFree(from: number, to: number, y: number): boolean {
    const [left, right] = from < to ? [from, to] : [to, from]
    return !this.#boxes.some(
      (box) =>
        y > box.y - CLEARANCE && y < box.y + box.height + CLEARANCE && right > box.x - CLEARANCE && left < box.x + box.width + CLEARANCE,
    )
  }
}

/** Without those on the way of a straight line; the first and the last stay. */
function cornersOf(points: readonly Point[]): Point[] {
  return points.filter((point, at) => {
    const [before, after] = [points[at - 1], points[at + 1]]
    if (!before || !after) return true
    return !((before.x === point.x && point.x === after.x) || (before.y === point.y && point.y === after.y))
  })
}

function sorted(values: readonly number[]): number[] {
  return [...new Set(values.map(Math.round))].sort((a, b) => a - b)
}

/** The cheapest first. */
class Heap {
  #items: { state: number; price: number }[] = []

  push(state: number, price: number): void {
    const items = this.#items
    let at = items.length
    items.push({ state, price })
    while (at > 0) {
      const above = (at - 1) >> 1
      if (items[above]!.price <= price) break
      items[at] = items[above]!
      at = above
    }
    items[at] = { state, price }
  }

  pop(): number | null {
    const items = this.#items
    const first = items[0]
    if (!first) return null
    const last = items.pop()!
    if (items.length === 0) return first.state
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= items.length) break
      if (below + 1 < items.length && items[below + 1]!.price < items[below]!.price) below++
      if (items[below]!.price >= last.price) break
      items[at] = items[below]!
      at = below
    }
    items[at] = last
    return first.state
  }
}

/** As SVG draws it, with round corners. */
export function routePath(points: readonly Point[], radius: number): string {
  const [first, ...others] = points
  if (!first) return ''
  const parts = [`M${first.x},${first.y}`]
  others.forEach((corner, at) => {
    const before = points[at]!
    const after = others[at + 1]
    if (!after) return void parts.push(`L${corner.x},${corner.y}`)
    const round = Math.min(radius, distance(before, corner) / 2, distance(corner, after) / 2)
    const [into, out] = [towards(corner, before, round), towards(corner, after, round)]
    parts.push(`L${into.x},${into.y}Q${corner.x},${corner.y} ${out.x},${out.y}`)
  })
  return parts.join('')
}

function distance(a: Point, b: Point): number {
  return Math.abs(a.x - b.x) + Math.abs(a.y - b.y)
}

function towards(from: Point, to: Point, by: number): Point {
  const length = distance(from, to)
  return length === 0 ? from : { x: from.x + ((to.x - from.x) * by) / length, y: from.y + ((to.y - from.y) * by) / length }
}
