/** What one machine may take of its network: whatever cards it makes up, through whatever router it comes. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { formatMac } from '../../../src-main/network/codec/ethernet.ts'
import { MAX_UDP_FLOWS_OF_MACHINE } from '../../../src-main/network/nat/limits.ts'
import { gatewayMac, routerMac } from '../../../src-shared/model/mac.ts'
import { udpFrame } from '../../support/frames.ts'
import { until } from '../../support/until.ts'
import { GuestCard } from '../support/guest-card.ts'
import { networkOf, startNetworkThread } from '../support/network-thread.ts'

const HOST = '10.7.0.1'

test('made-up cards have one share together, a router’s card another, and each machine its own', async () => {
  const server = createSocket('udp4')
  onTestFinished(() => void server.close())
  server.on('message', (bytes, from) => server.send(bytes, from.port, from.address))
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()

  const { api } = startNetworkThread()
  const networks = [
    networkOf('lab', { kind: 'nat', ipv4: '10.7.0.0/20', hostAccess: true, dhcp: { from: '10.7.0.10', to: '10.7.0.99' } }),
    networkOf('two', { kind: 'segment', ipv4: '10.8.0.0/24' }),
  ]
  const interfaces = [
    { network: 'lab', ipv4: '10.7.0.254', ipv6: null },
    { network: 'two', ipv4: '10.8.0.254', ipv6: null },
  ]
  await api.configure({ networks, routers: [{ name: 'edge', interfaces }], names: {} })
  const [greedy, good, behind] = [new GuestCard(1, 'lab'), new GuestCard(2, 'lab'), new GuestCard(3, 'two')]
  for (const guest of [greedy, good, behind]) {
    await api.plug(guest.plug)
    await guest.lease('guest')
    guest.answerArp()
  }
  const flows = async (): Promise<number> => (await api.state({})).networks.find(({ network }) => network === 'lab')!.flows.udp
  const most = MAX_UDP_FLOWS_OF_MACHINE
  const via = { to: HOST, toMac: gatewayMac('lab') }
  const send = async (guest: GuestCard, ends: Parameters<typeof udpFrame>[0], own: number, text = 'x'): Promise<void> => {
    await until(() => guest.send(udpFrame(ends, own, port, text)))
  }
  const echoed = (guest: GuestCard, text: string): boolean => guest.got.some((frame) => frame.includes(text))

  // Each datagram from another card and another address.
  for (let nth = 0; nth < most + 100; nth++)
    await send(greedy, { ...via, from: `10.7.${4 + (nth >> 8)}.${nth & 255 || 1}`, fromMac: formatMac(0x0200_0000_0000 + nth) }, 5000 + nth)
  await until(async () => (await flows()) === most)
  // Its own card has more, and what is made up is answered, too.
  await send(greedy, { ...via, from: greedy.address, fromMac: greedy.plug.mac }, 5000, 'greedy')
  await until(() => echoed(greedy, 'greedy'))
  expect(await flows()).toBe(most + 1)

  // Machines behind a router are one card to its network.
  const over = { to: HOST, toMac: routerMac('edge', 'two') }
  for (let nth = 0; nth < most + 100; nth++) await send(behind, { ...over, from: behind.address, fromMac: behind.plug.mac }, 5000 + nth)
  await until(async () => (await flows()) === 2 * most + 1)
  await send(good, { ...via, from: good.address, fromMac: good.plug.mac }, 5000, 'good')
  await until(() => echoed(good, 'good'))
  expect(await flows()).toBe(2 * most + 2)
})

test('a machine in a machine, whose card is not plugged in, is answered', async () => {
  const server = createSocket('udp4')
  onTestFinished(() => void server.close())
  server.on('message', (bytes, from) => server.send(bytes, from.port, from.address))
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  const { api } = startNetworkThread()
  await api.configure({ networks: [networkOf('lab', { kind: 'nat', ipv4: '10.7.0.0/24', hostAccess: true })], routers: [], names: {} })
  const guest = new GuestCard(1, 'lab')
  await api.plug(guest.plug)
  const ends = { from: '10.7.0.77', to: HOST, fromMac: '02:00:00:00:00:77', toMac: gatewayMac('lab') }
  guest.send(udpFrame(ends, 5000, server.address().port, 'nested'))
  await until(() => guest.got.some((frame) => frame.includes('nested') && frame.subarray(0, 6).toString('hex') === '020000000077'))
})
