/** Connections of a machine to servers on the host's loopback, over real sockets. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { REAL_CLOCK } from '../../../../src-main/network/clock.ts'
import { UserNat } from '../../../../src-main/network/nat/user-nat.ts'
import { parseIp, parseSubnet, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { GuestHost } from '../../../support/guest-tcp.ts'
import { GuestWire } from '../../../support/guest-wire.ts'

const GATEWAY = parseIp('10.0.2.1')!
const GATEWAY6 = parseIp('fd00:2::1')!

function setUp(mtu = 1500): { wire: GuestWire; guest: GuestHost; nat: UserNat } {
  const wire = new GuestWire(mtu)
  const nat = new UserNat(wire, REAL_CLOCK, {
    kind: 'nat',
    gateway: { ipv4: GATEWAY, ipv6: GATEWAY6 },
    subnets: [parseSubnet('10.0.2.0/24')!, parseSubnet('fd00:2::/64')!],
    hostAccess: true,
    linkLocalAccess: false,
  })
  wire.toNat = (packet) => nat.receive(packet)
  const guest = new GuestHost(wire, parseIp('10.0.2.15')!, parseIp('fd00:2::15')!)
  onTestFinished(() => {
    nat.dispose()
    wire.dispose()
  })
  return { wire, guest, nat }
}

async function serve(accept: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, accept)
  server.listen(0, host)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

describe('TCP through the NAT', () => {
  it.each([
    ['IPv4', GATEWAY, '127.0.0.1'],
    ['IPv6', GATEWAY6, '::1'],
  ])('a question and its answer over %s', async (_name: string, gateway: IpAddress, host) => {
    const { guest, nat } = setUp()
    const port = await serve((socket) => socket.on('data', (bytes) => socket.end(`you said ${bytes.toString()}`)), host)
    const connection = guest.connect(gateway, port)
    await connection.opened
    let text = ''
    connection.onData = (bytes) => (text += Buffer.from(bytes).toString())
    connection.onEnd = () => connection.end()
    connection.sendBytes(Buffer.from('hello'))
    expect(await connection.over).toBe('closed')
    expect(text).toBe('you said hello')
    await expect.poll(() => nat.flows.tcp).toBe(0)
  })
})
