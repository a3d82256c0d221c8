/** A NAT with a machine behind a wire, and servers on the host's loopback. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach } from 'vitest'
import { REAL_CLOCK, type Clock } from '../../src-main/network/clock.ts'
import type { NatOptions } from '../../src-main/network/nat/nat.ts'
import { UserNat } from '../../src-main/network/nat/user-nat.ts'
import { parseIp, parseSubnet } from '../../src-shared/model/ip.ts'
import { GuestHost } from './guest-tcp.ts'
import { GuestWire } from './guest-wire.ts'

export const GATEWAY = parseIp('10.0.2.1')!
export const GATEWAY6 = parseIp('fd00:2::1')!
export const GUEST = parseIp('10.0.2.15')!
export const GUEST6 = parseIp('fd00:2::15')!

export const OPTIONS: NatOptions = {
  ...{ kind: 'nat', gateway: { ipv4: GATEWAY, ipv6: GATEWAY6 }, hostAccess: true, linkLocalAccess: false },
  subnets: [parseSubnet('10.0.2.0/24')!, parseSubnet('fd00:2::/64')!],
}

const closing: (() => void)[] = []

/** What the tests of this block open with the functions below ends with each. */
export function withNatNetworks(): void {
  afterEach(() => closing.splice(0).forEach((close) => close()))
}

export interface NatNetwork {
  wire: GuestWire
  guest: GuestHost
  nat: UserNat
}

export function natNetwork(mtu = 1500, options: Partial<NatOptions> = {}, clock: Clock = REAL_CLOCK): NatNetwork {
  const wire = new GuestWire(mtu)
  const nat = new UserNat(wire, clock, { ...OPTIONS, ...options })
  wire.toNat = (packet) => nat.receive(packet)
  const guest = new GuestHost(wire, GUEST, GUEST6)
  closing.push(() => {
    nat.dispose()
    guest.dispose()
    wire.dispose()
  })
  return { wire, guest, nat }
}

/** @returns the port */
export async function serve(accept: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    accept(socket)
  })
  server.listen(0, host, 1024)
  await once(server, 'listening')
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
