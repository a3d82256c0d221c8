/** Cards of the network thread that do what no driver does. */
import { expect, onTestFinished, test } from 'vitest'
import { ARP } from '../../../src-main/network/codec/arp.ts'
import { formatMac } from '../../../src-main/network/codec/ethernet.ts'
import { buildQuery } from '../../../src-main/network/services/dns/query.ts'
import { arpFrame, udpFrame } from '../../support/frames.ts'
import { until } from '../../support/until.ts'
import { networkOf, RingCard, startNetworkThread } from '../support/network-thread.ts'

const LAN = { kind: 'nat', ipv4: '10.9.0.0/24' }
const asksGateway = ({ mac }: RingCard, from = '10.9.0.5'): Uint8Array =>
  arpFrame({ from, to: '10.9.0.1', fromMac: formatMac(mac), toMac: 'ff:ff:ff:ff:ff:ff' }, ARP.request)

test('frames that were sent before the card was plugged in are answered', async () => {
  const { api } = startNetworkThread()
  await api.configure({ networks: [networkOf('one', LAN)], routers: [], names: {} })
  const card = new RingCard(1, 'one')
  card.send(asksGateway(card))
  await api.plug(card.plug)
  await until(() => card.got.some((frame) => frame[13] === 6 && frame[21] === ARP.reply))
})

test('a card that is cut when it is plugged in gets nothing through, not even what it sent before', async () => {
  const { api } = startNetworkThread()
  await api.configure({ networks: [networkOf('one')], routers: [], names: {} })
  const [cut, other, third] = [new RingCard(1, 'one', { cut: true }), new RingCard(2, 'one'), new RingCard(3, 'one')]
  await api.plug(other.plug)
  cut.sendTo(other.mac, Buffer.alloc(50))
  third.sendTo(other.mac, Buffer.alloc(50))
  await api.plug(cut.plug)
  // Its ring is looked at after that of the card before it.
  await api.plug(third.plug)
  await until(() => other.got.length > 0)
  expect(other.got.map((frame) => frame.readUIntBE(6, 6))).toEqual([third.mac])
})

test('the policy’s log tells who a private machine talks to, and not what it says', async () => {
  const { api } = startNetworkThread()
  const policy = { rules: [{ from: '*', to: '*', protocol: 'udp', action: 'log' }] }
  await api.configure({ networks: [networkOf('one', { policy })], routers: [], names: {} })
  const [open, hidden, other] = [new RingCard(1, 'one'), new RingCard(2, 'one', { private: true }), new RingCard(3, 'one')]
  for (const { plug } of [open, hidden, other]) await api.plug(plug)
  const told: string[] = []
  api.logged(({ message }) => told.push(message))
  const asks = (card: RingCard): boolean => {
    const query = buildQuery({ name: 'secret.example', type: 1, class: 1, checkingDisabled: false, edns: null }, 1)
    const ends = { from: '10.9.0.5', to: '10.9.0.6', fromMac: formatMac(card.mac), toMac: formatMac(other.mac) }
    return card.send(udpFrame(ends, 5000 + (card.mac % 100), 53, query))
  }
  other.sendTo(open.mac, Buffer.alloc(50))
  await until(() => open.got.length > 0)
  asks(hidden)
  asks(open)
  await until(() => told.length === 2)
  const [first, second] = told.sort((a, b) => a.length - b.length)
  expect(first).toBe('Network “one”, from machine-2 to machine-3: DNS 10.9.0.5 → 10.9.0.6')
  expect(second).toContain('secret.example')
})

test('a mistake in a timer or a promise parts nobody from the network', async () => {
  const channel = new BroadcastChannel('faulty-network')
  onTestFinished(() => channel.close())
  const mistaken = new Promise((resolve) => (channel.onmessage = resolve))
  const { api, worker } = startNetworkThread(new URL('../support/faulty-network.thread.ts', import.meta.url))
  const deaths: Error[] = []
  worker.on('error', (error: Error) => deaths.push(error))
  await api.configure({ networks: [networkOf('one')], routers: [], names: {} })
  await mistaken
  const [one, other] = [new RingCard(1, 'one'), new RingCard(2, 'one')]
  for (const { plug } of [one, other]) await api.plug(plug)
  one.sendTo(other.mac, Buffer.alloc(50))
  await until(() => other.got.length === 1)
  expect(deaths).toEqual([])
})
