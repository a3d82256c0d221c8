/** A day of a network, by a clock that is told to go on: machines come and go, lease, ask and connect, some vanish in the middle of it. Nothing of it is left, and nothing grows. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test } from 'vitest'
import { TCP } from '../../../src-main/network/codec/tcp.ts'
import { NetworkService } from '../../../src-main/network/network-service.ts'
import { CLASS_IN, TYPE } from '../../../src-main/network/services/dns/codec.ts'
import { buildQuery } from '../../../src-main/network/services/dns/query.ts'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { gatewayMac } from '../../../src-shared/model/mac.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { tcpFrame } from '../../support/frames.ts'
import { until } from '../../support/until.ts'
import { GuestCard } from '../support/guest-card.ts'
import { networkOf } from '../support/network-thread.ts'

const GATEWAY = '10.7.0.1'
const VIA = gatewayMac('lab')
const HOUR = 3_600_000
/** Of a day. */
const ROUNDS = 144
/** Those that stay plugged in. */
const STAYING = 4
const BYTES_OF_GROWTH = 3_000_000

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function used(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

async function sinks() {
  const sockets = new Set<Socket>()
  const tcp = createServer((socket) => {
    sockets.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => sockets.delete(socket))
      .resume()
  }).listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const udp = createSocket('udp4')
  udp.on('message', (message, { port, address }) => udp.send(message, port, address))
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    tcp.close()
    udp.close()
  })
  return { sockets, tcp: (tcp.address() as AddressInfo).port, udp: udp.address().port }
}

/** A connection to this computer, and some bytes. @param ends says goodbye; else the machine forgets it */
async function connects(guest: GuestCard, port: number, own: number, ends: boolean): Promise<void> {
  const at = { from: guest.address, to: GATEWAY, fromMac: guest.plug.mac, toMac: VIA }
  const segment = { sourcePort: own, destinationPort: port }
  const answer = () => guest.got.find((frame) => frame[23] === 6 && frame.readUInt16BE(36) === own && frame[47] === (TCP.syn | TCP.ack))
  guest.send(tcpFrame(at, { ...segment, sequence: 999, flags: TCP.syn }))
  await until(() => answer() !== undefined)
  const acknowledgment = (answer()!.readUInt32BE(38) + 1) >>> 0
  const payload = Buffer.from('some bytes')
  guest.send(tcpFrame(at, { ...segment, sequence: 1000, acknowledgment, flags: TCP.ack | TCP.psh, payload }))
  if (ends) guest.send(tcpFrame(at, { ...segment, sequence: 1010, acknowledgment, flags: TCP.ack | TCP.fin }))
}

test('24 hours of leases and flows leave no growth', { timeout: 240_000 }, async () => {
  const clock = new FakeClock()
  const service = new NetworkService(threadUrl('tap'), clock)
  onTestFinished(() => service.dispose())
  const api = service.handlers
  const context = { signal: new AbortController().signal } as Parameters<typeof api.configure>[1]
  // Time passes while somebody waits, too.
  const ticking = setInterval(() => clock.advance(20), 1)
  onTestFinished(() => clearInterval(ticking))
  const more = { kind: 'nat', ipv4: '10.7.0.0/24', hostAccess: true, dhcp: { leaseTime: 3600 }, captureBytes: 64 * 1024 }
  await api.configure({ networks: [networkOf('lab', more)], routers: [], names: {} }, context)
  const host = await sinks()
  const state = async () => (await api.state({}, context)).networks[0]!
  const join = async (number: number): Promise<GuestCard> => {
    const guest = new GuestCard(number, 'lab')
    await api.plug(guest.plug, context)
    await guest.lease(`guest-${number}`)
    guest.answerArp()
    return guest
  }
  const staying: GuestCard[] = []
  for (let number = 1; number <= STAYING; number++) staying.push(await join(number))

  const heap: number[] = []
  let most = 0
  for (let round = 0; round < ROUNDS; round++) {
    const passing = await join(STAYING + 1 + round)
    const own = 20_000 + round
    await passing.ping(GATEWAY, VIA)
    await passing.udp(
      GATEWAY,
      53,
      VIA,
      buildQuery({ name: 'guest-1.lab.internal', type: TYPE.a, class: CLASS_IN, checkingDisabled: false, edns: null }, round),
    )
    for (const guest of [...staying, passing]) {
      await connects(guest, host.tcp, own, guest === passing)
      await guest.udp(GATEWAY, host.udp, VIA, Buffer.from('echo'))
      guest.got.length = 0
    }
    most = Math.max(most, (await state()).flows.tcp)
    for (const guest of staying) await guest.lease('guest')
    await api.unplug({ port: passing.plug.port }, context)
    clock.advance((24 * HOUR) / ROUNDS)
    if (round % 12 === 11) heap.push(used())
  }
  expect(most).toBeGreaterThan(STAYING)
  // Those that stay have theirs, and those that passed had them for an hour.
  expect((await api.leases({ network: 'lab' }, context)).length).toBeLessThan(STAYING + 10)
  expect(heap.at(-1)! - heap[3]!).toBeLessThan(BYTES_OF_GROWTH)

  // What vanished is found out.
  for (let hour = 0; hour < 24; hour++) {
    clock.advance(HOUR)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await until(async () => {
    const { flows } = await state()
    return flows.tcp === 0 && flows.udp === 0 && host.sockets.size === 0
  })
  expect(await api.leases({ network: 'lab' }, context)).toEqual([])
  // The network's own: advertisements and what looks after tables.
  expect(clock.waiting).toBeLessThan(10)
})
