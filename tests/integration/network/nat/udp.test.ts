/** UDP of a machine to the host's loopback, over real sockets. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { parseIp as readIp, PROTOCOL, writeIp, ipHeaderBytes } from '../../../../src-main/network/codec/ip.ts'
import { buildUdp, parseUdp } from '../../../../src-main/network/codec/udp.ts'
import { parseIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import type { GuestHost } from '../../../support/guest-tcp.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { GATEWAY, GATEWAY6, GUEST, natNetwork, OPTIONS, withNatNetworks } from '../../../support/nat-network.ts'

withLeakCheck()
withNatNetworks()
const sockets: Socket[] = []
afterEach(() => sockets.splice(0).forEach((socket) => socket.close()))

async function listen(answer: (socket: Socket, bytes: Buffer, from: RemoteInfo) => void, address = '127.0.0.1', port = 0): Promise<number> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  sockets.push(socket)
  socket.on('message', (bytes, from) => answer(socket, bytes, from))
  socket.bind(port, address)
  await once(socket, 'listening')
  return socket.address().port
}

function send(guest: GuestHost, destination: IpAddress, sourcePort: number, destinationPort: number, text: string): void {
  const source = destination.length === 4 ? guest.ipv4 : guest.ipv6
  const datagram = buildUdp(source, destination, { sourcePort, destinationPort, payload: Buffer.from(text) })
  const start = ipHeaderBytes(source)
  const packet = new Uint8Array(start + datagram.length)
  packet.set(datagram, start)
  writeIp(packet, 0, { source, destination, protocol: PROTOCOL.udp }, datagram.length)
  guest.wire.put(packet)
}

function inbox(guest: GuestHost): string[] {
  const got: string[] = []
  guest.onOther = (packet) => {
    const ip = readIp(packet)!
    const { sourcePort, destinationPort, payload } = parseUdp(ip)!
    got.push(`${sourcePort}>${destinationPort} ${Buffer.from(payload).toString()}`)
  }
  return got
}

describe('UDP through the NAT', () => {
  it.each([
    ['IPv4', GATEWAY, '127.0.0.1'],
    ['IPv6', GATEWAY6, '::1'],
  ])('a question and its answer over %s', async (_name: string, gateway: IpAddress, host) => {
    const { guest, nat } = natNetwork()
    const port = await listen((socket, bytes, from) => socket.send(`you said ${bytes.toString()}`, from.port, from.address), host)
    const got = inbox(guest)
    send(guest, gateway, 5000, port, 'one')
    await expect.poll(() => got).toEqual([`${port}>5000 you said one`])
    send(guest, gateway, 5000, port, '')
    await expect.poll(() => got.length).toBe(2)
    expect(nat.flows.udp).toBe(1)
    nat.closeFlows(gateway.length === 4 ? guest.ipv4 : guest.ipv6)
    expect(nat.flows.udp).toBe(0)
  })

  it('one port of a machine is one port of the host, whomever it talks to', async () => {
    const { guest, nat } = natNetwork()
    const seen: number[] = []
    const [first, second] = [await listen((_s, _b, from) => seen.push(from.port)), await listen((_s, _b, from) => seen.push(from.port))]
    send(guest, GATEWAY, 5000, first, 'one')
    send(guest, GATEWAY, 5000, second, 'two')
    await expect.poll(() => seen.length).toBe(2)
    expect(seen[0]).toBe(seen[1])
    expect(nat.flows.udp).toBe(1)
  })

  it('may be answered from another port of the same address', async () => {
    const { guest } = natNetwork()
    const other = createSocket('udp4')
    sockets.push(other)
    const port = await listen((_socket, _bytes, from) => other.send('from elsewhere', from.port, from.address))
    const got = inbox(guest)
    send(guest, GATEWAY, 5000, port, 'hello')
    await expect.poll(() => got).toHaveLength(1)
    expect(got[0]).toMatch(/>5000 from elsewhere$/)
  })

  it('is refused where it may not go, and bounded', async () => {
    const { guest, nat, wire } = natNetwork(1500, { hostAccess: false })
    const refusals: unknown[] = []
    wire.onRefusal = (packet, why) => refusals.push(`${packet.destination.join('.')} ${JSON.stringify(why)}`)
    send(guest, GATEWAY, 5000, 9, 'x')
    send(guest, parseIp('127.0.0.1')!, 5000, 9, 'x')
    send(guest, parseIp('169.254.169.254')!, 5000, 9, 'x')
    await expect.poll(() => refusals).toEqual(['10.0.2.1 "port"', '127.0.0.1 "prohibited"', '169.254.169.254 "prohibited"'])
    expect(nat.flows.udp).toBe(0)
    nat.update({ ...OPTIONS, hostAccess: true })
    for (let port = 1; port <= 1000; port++) send(guest, GATEWAY, port, 9, 'x')
    await expect.poll(() => nat.flows.udp).toBe(512)
  })

  it('is forgotten after a while, the sooner the less it was', async () => {
    const clock = new FakeClock()
    const { guest, nat } = natNetwork(1500, {}, clock)
    const [answers, silent] = [await listen((socket, bytes, from) => socket.send(bytes, from.port, from.address)), await listen(() => {})]
    const got = inbox(guest)
    send(guest, GATEWAY, 5000, answers, 'both ways')
    send(guest, GATEWAY, 5001, silent, 'one way')
    send(guest, GATEWAY, 5002, 123, 'what time is it?')
    await expect.poll(() => [got.length, nat.flows.udp]).toEqual([1, 3])
    const left: number[] = []
    for (const seconds of [14, 2, 100, 10, 170, 10]) {
      clock.advance(seconds * 1000)
      left.push(nat.flows.udp)
    }
    expect(left).toEqual([3, 2, 2, 1, 1, 0])
    expect(clock.waiting).toBe(0)
  })

  it('a DNS server that is not there is told of', async ({ skip }) => {
    const { guest, nat, wire } = natNetwork()
    // Port 53 of the loopback must be free for this.
    try {
      await listen(() => {}, '127.0.0.1', 53)
    } catch {
      skip()
    }
    sockets.splice(0).forEach((socket) => socket.close())
    const refusals: unknown[] = []
    wire.onRefusal = (packet, why) => refusals.push([packet.source.join('.'), why])
    send(guest, GATEWAY, 5000, 53, 'who?')
    await expect.poll(() => refusals).toEqual([[GUEST.join('.'), 'port']])
    expect(nat.flows.udp).toBe(1)
  })
})
