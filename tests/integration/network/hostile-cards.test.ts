/** Cards of the network thread that do what no driver does. */
import { expect, test } from 'vitest'
import { ARP } from '../../../src-main/network/codec/arp.ts'
import { formatMac } from '../../../src-main/network/codec/ethernet.ts'
import { arpFrame } from '../../support/frames.ts'
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
  const [cut, other] = [new RingCard(1, 'one', { cut: true }), new RingCard(2, 'one')]
  await api.plug(other.plug)
  cut.sendTo(other.mac, Buffer.alloc(50))
  await api.plug(cut.plug)
  await until(async () => (await api.state({})).ports.length === 2)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(other.got).toEqual([])
})
