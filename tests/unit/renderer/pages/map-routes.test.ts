import { expect, test } from 'vitest'
import { routeLinks, routePath, type Box, type Route, type Wanted } from '../../../../src-renderer/pages/networks/map/map-routes.ts'
import type { Point } from '../../../../src-renderer/pages/networks/map/map-layout.ts'

const network = (id: string, x: number, y: number): Box => ({ id, x, y, width: 216, height: 72 })
const machine = (id: string, x: number, y: number): Box => ({ id, x, y, width: 184, height: 60 })
const card = (id: string, box: string, to: string): Wanted => ({ id, box, network: to, ports: [{ side: 'top', x: 92 }] })

function points({ from, corners, to }: Route): Point[] {
  return [from, ...corners, to].map(({ x, y }) => ({ x, y }))
}
/** Boxes that a way leads through. */
function crossed(route: Route, boxes: readonly Box[]): string[] {
  const all = points(route)
  return boxes
    .filter((box) =>
      all.slice(1).some((end, at) => {
        const start = all[at]!
        const [left, right] = [Math.min(start.x, end.x), Math.max(start.x, end.x)]
        const [top, bottom] = [Math.min(start.y, end.y), Math.max(start.y, end.y)]
        return right > box.x && left < box.x + box.width && bottom > box.y && top < box.y + box.height
      }),
    )
    .map(({ id }) => id)
}
function isUpright(route: Route): boolean {
  const all = points(route)
  return all.slice(1).every((end, at) => end.x === all[at]!.x || end.y === all[at]!.y)
}

test('links of lower rows run between the machines of upper ones', () => {
  const boxes = [
    network('lab', 92, 0),
    ...Array.from({ length: 12 }, (_, at) => machine(`m${at}`, (at % 3) * 216, 120 + Math.floor(at / 3) * 108)),
  ]
  const routes = routeLinks(boxes, boxes.slice(1).map(({ id }) => card(`${id}/nic0`, id, 'lab'))) // prettier-ignore
  expect(routes.size).toBe(12)
  for (const route of routes.values()) {
    expect(crossed(route, boxes)).toEqual([])
    expect(isUpright(route)).toBe(true)
    expect(route.to).toMatchObject({ side: 'bottom', x: 200, y: 72 })
  }
})

test('links of different networks in one aisle run beside each other', () => {
  const boxes = [network('a', 0, 0), network('b', 248, 0), machine('low', 0, 228), machine('high', 0, 120)]
  const routes = routeLinks(boxes, [card('low/nic0', 'low', 'a'), { ...card('low/nic1', 'low', 'b'), ports: [{ side: 'top', x: 120 }] }])
  const upright = [...routes.values()].map(({ corners }) => corners.slice(1, -1).map(({ x }) => x))
  expect(new Set(upright.flat()).size).toBe(2)
})

test('a machine beside, above or in the way of its network is reached all the same', () => {
  for (const [x, y] of [
    [400, 0],
    [0, -300],
    [-500, 17],
    [16, 100],
    [0, 150],
  ] as const) {
    const boxes = [network('lab', 0, 0), machine('m', x, y), machine('between', 20, -120)]
    const route = routeLinks(boxes, [card('m/nic0', 'm', 'lab')]).get('m/nic0')
    if (!route) continue // so near that there is no aisle: it is drawn as a curve
    expect(isUpright(route)).toBe(true)
    expect(crossed(route, boxes)).toEqual([])
  }
})

test('any heap of things is routed or left out, and nothing leads through another thing', () => {
  let seed = 1
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  let routed = 0
  for (let round = 0; round < 60; round++) {
    const boxes = [network('a', 0, 0), network('b', 700 * random(), 500 * random() - 250)]
    for (let at = 0; at < 12; at++) boxes.push(machine(`m${at}`, Math.round(1200 * random()) - 400, Math.round(900 * random()) - 400))
    const wanted = boxes.slice(2).map(({ id }, at) => card(`${id}/nic0`, id, at % 2 ? 'a' : 'b'))
    for (const route of routeLinks(boxes, wanted).values()) {
      routed++
      const all = points(route)
      expect(isUpright(route), JSON.stringify(all)).toBe(true)
      expect(
        crossed({ ...route, from: { ...route.from, y: route.corners[0]!.y }, to: { ...route.to, y: route.corners.at(-1)!.y } }, boxes),
      ).toEqual([])
      expect(all.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true)
    }
  }
  expect(routed).toBeGreaterThan(100)
})

test('too many things are not routed at all', () => {
  const boxes = Array.from({ length: 1200 }, (_, at) => machine(`m${at}`, (at % 40) * 217 + at, Math.floor(at / 40) * 109))
  const networks = Array.from({ length: 8 }, (_, at) => network(`n${at}`, at * 300, -200))
  const wanted = networks.map(({ id }, at) => card(`m${at}/nic0`, `m${at}`, id))
  expect(routeLinks([...networks, ...boxes], wanted).size).toBe(0)
})

test('a way is drawn with round corners that no short piece breaks', () => {
  const path = routePath([{ x: 0, y: 0 }, { x: 0, y: 40 }, { x: 4, y: 40 }, { x: 4, y: 80 }], 8) // prettier-ignore
  expect(path).toBe('M0,0L0,38Q0,40 2,40L2,40Q4,40 4,42L4,80')
  expect(routePath([], 8)).toBe('')
})
