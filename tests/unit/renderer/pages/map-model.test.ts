import { expect, test } from 'vitest'
import { newId } from '../../../../src-shared/base/ids.ts'
import type { NetworkView, NicView } from '../../../../src-shared/api/networks.ts'
import { NO_IMPAIRMENT, networkSchema } from '../../../../src-shared/model/network.ts'
import { findThings } from '../../../../src-renderer/pages/networks/map/find-things.ts'
import { SIZE } from '../../../../src-renderer/pages/networks/map/map-layout.ts'
import { joinOf, linkWidth, mapModel, nextThing, type MapThing } from '../../../../src-renderer/pages/networks/map/map-model.ts'

const nic = (name: string, network: string | null): NicView => ({
  ...{ machine: newId(), name, nic: 'nic0', mac: '52:54:00:00:00:01', network, connected: true, cut: false },
  ...{ impairment: NO_IMPAIRMENT, addresses: [] },
})
const view = (name: string, kind: 'nat' | 'segment', nics: NicView[] = []): NetworkView => ({
  ...{ network: networkSchema.parse({ name, kind, ipv4: '10.0.2.0/24' }), gateway: null, domain: name, nics, forwards: {}, problem: null },
})
const router = (name: string, ...networks: string[]) => ({
  router: { name, interfaces: networks.map((network) => ({ network, ipv4: null, ipv6: null })) },
  problem: null,
})

function overlaps(one: MapThing, other: MapThing): boolean {
  const [left, right] = one.at.x < other.at.x ? [one, other] : [other, one]
  const [upper, lower] = one.at.y < other.at.y ? [one, other] : [other, one]
  return right.at.x - left.at.x < SIZE[left.kind].width && lower.at.y - upper.at.y < SIZE[upper.kind].height
}

test('a hundred machines, two routers between the same networks and what is plugged in nowhere have places of their own', () => {
  const nics = Array.from({ length: 100 }, (_, at) => nic(`m-${at}`, at < 60 ? 'default' : at < 95 ? 'lab' : null))
  const networks = [view('default', 'nat', nics.slice(0, 60)), view('lab', 'segment', nics.slice(60, 95))]
  const { things, links } = mapModel(networks, [router('a', 'default', 'lab'), router('b', 'default', 'lab')], nics, {})
  expect(things).toHaveLength(1 + 2 + 2 + 100)
  expect(links).toHaveLength(1 + 4 + 95)
  const overlap = things.flatMap((one, at) => things.slice(at + 1).filter((other) => overlaps(one, other)))
  expect(overlap).toEqual([])
})

test('six networks with thirty machines have about the shape of a window', () => {
  const names = ['default', 'dmz', 'lab', 'office', 'storage', 'wire']
  const nics = Array.from({ length: 30 }, (_, at) => nic(`m-${at}`, names[at % 8] ?? 'office'))
  const networks = names.map((name) => view(name, 'nat', nics.filter(({ network }) => network === name))) // prettier-ignore
  const { things } = mapModel(networks, [router('a', 'dmz', 'lab'), router('b', 'storage', 'wire'), router('c')], nics, {})
  expect(things.flatMap((one, at) => things.slice(at + 1).filter((other) => overlaps(one, other)))).toEqual([])
  const width = Math.max(...things.map(({ at, kind }) => at.x + SIZE[kind].width)) - Math.min(...things.map(({ at }) => at.x))
  const height = Math.max(...things.map(({ at, kind }) => at.y + SIZE[kind].height)) - Math.min(...things.map(({ at }) => at.y))
  expect(width / height).toBeGreaterThan(0.8)
  expect(width / height).toBeLessThan(2.4)
})

test('what somebody placed stays there; machines stand in the order of people', () => {
  const nics = ['web-10', 'web-2', 'web-1'].map((name) => nic(name, 'default'))
  const { things } = mapModel([view('default', 'nat', nics)], [], nics, { 'network/default': { x: -5, y: 7 } })
  expect(things.find(({ kind }) => kind === 'network')?.at).toEqual({ x: -5, y: 7 })
  expect(things.flatMap((thing) => (thing.kind === 'machine' ? [thing.name] : []))).toEqual(['web-1', 'web-2', 'web-10'])
})

test('links to what is gone are not drawn', () => {
  const { links } = mapModel([view('default', 'nat')], [router('a', 'default', 'gone')], [nic('web', 'gone')], {})
  expect(links.map(({ id }) => id)).toEqual(['outside/default', 'router/a/default'])
})

test('a card or a router is joined with a network, whichever end the drawing began at', () => {
  const card = { kind: 'card', machine: 'm', nic: 'nic1', network: 'lab' }
  const [machine, network] = [
    { source: 'machine/m', sourceHandle: 'nic1', target: 'network/lab', targetHandle: 'bottom' },
    { source: 'network/lab', sourceHandle: 'bottom', target: 'machine/m', targetHandle: 'nic1' },
  ]
  expect(joinOf(machine!)).toEqual(card)
  expect(joinOf(network!)).toEqual(card)
  expect(joinOf({ source: 'router/r', target: 'network/lab' })).toEqual({ kind: 'router', router: 'r', network: 'lab' })
  for (const target of ['machine/n', 'outside', 'router/r'])
    expect(joinOf({ source: 'machine/m', sourceHandle: 'nic0', target, targetHandle: 'nic0' })).toBeNull()
})

test('more bytes make a wider link, within bounds', () => {
  const widths = [0, 100, 10_000, 1e6, 1e9, 1e15].map(linkWidth)
  expect(widths).toEqual(widths.toSorted((a, b) => a - b))
  expect(widths.at(-1)).toBeLessThanOrEqual(8)
})

test('things are found by their names and addresses', () => {
  const nics = [{ ...nic('web', 'default'), mac: '52:54:00:aa:bb:cc', addresses: ['10.0.2.15'] }, nic('db', null)]
  const { things } = mapModel([view('default', 'nat', nics)], [router('core', 'default')], nics, {})
  const found = (text: string): string[] => findThings(things, text).map((id) => id.replace(/\/.{36}$/, ''))
  expect(found('WEB')).toEqual(['machine'])
  expect(found('10.0.2.')).toEqual(['network/default', 'machine'])
  expect(found('aa:bb')).toEqual(['machine'])
  expect(found('core')).toEqual(['router/core'])
  expect(found('  ')).toEqual([])
})

test('arrow keys go to the nearest thing in their direction', () => {
  const nics = ['a', 'b', 'c', 'd'].map((name) => nic(name, 'default'))
  const { things } = mapModel([view('default', 'nat', nics)], [], nics, {})
  const id = (name: string): string => `machine/${nics.find((one) => one.name === name)!.machine}`
  expect(nextThing(things, 'outside', 'ArrowDown')).toBe('network/default')
  expect(nextThing(things, id('a'), 'ArrowRight')).toBe(id('b'))
  expect(nextThing(things, id('b'), 'ArrowLeft')).toBe(id('a'))
  expect(nextThing(things, id('a'), 'ArrowUp')).toBe('network/default')
  expect(nextThing(things, 'outside', 'ArrowUp')).toBeNull()
  expect(nextThing(things, 'outside', 'Home')).toBeNull()
})
