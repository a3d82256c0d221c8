/** Real guests of both engines in networks: with each other, with services, and through NAT with this computer. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { TestHost } from '../integration/machines/support/test-host.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { until } from '../support/until.ts'
import { wholeHost } from './support/host-machine.ts'
import { execIn, leased, networksOf, settledIn, startNetworked, type Networked } from './support/networked.ts'

/** ms for a test: two boots on a computer that may be busy, and what is done then. */
const LIMIT = 600_000
const MIB = 1024 * 1024

async function listening(server: Server, address = '127.0.0.1'): Promise<number> {
  server.listen(0, address)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Bytes that repeat nowhere near. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(Math.imul(at, 0x9e3779b1) >>> 0, at)
  return bytes
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

function webServer(body: Buffer, address?: string): Promise<number> {
  return listening(
    createHttpServer((_, response) => response.end(body)),
    address,
  )
}

/** Says what came, when its client has no more to say. */
function digestServer(): Promise<number> {
  return listening(
    createServer({ allowHalfOpen: true }, (socket) => {
      const hash = createHash('sha256')
      socket.on('data', (bytes) => hash.update(bytes)).on('end', () => socket.end(hash.digest('hex')))
    }),
  )
}

const MEGABYTES = 100
const ENGINES = [
  { engine: 'embedded', there: true },
  { engine: 'qemu', there: QEMU_PROGRAM !== null },
] as const

describe.skipIf(!QEMU_PROGRAM)('on one LAN segment', () => {
  test('machines of both engines reach each other, and lose each other where a link is cut', { timeout: LIMIT }, async () => {
    const host = await wholeHost()
    await networksOf(host).create({ name: 'lab', kind: 'segment' })
    const [a, b] = [
      await startNetworked(host, { name: 'a', engine: 'embedded', networks: ['lab'] }),
      await startNetworked(host, { name: 'b', engine: 'qemu', networks: ['lab'] }),
    ]
    await a.sh('ip addr add 10.9.0.1/24 dev eth0; ip addr add fd00:9::1/64 dev eth0')
    await b.sh('ip addr add 10.9.0.2/24 dev eth0; ip addr add fd00:9::2/64 dev eth0')
    expect(await a.sh('ping -c 3 10.9.0.2')).toContain('3 packets received')
    expect(await b.sh('ping -c 3 fd00:9::1')).toContain('3 packets received')
    await networksOf(host).cut({ machine: a.id, nic: 'nic0', cut: true })
    await until(async () => (await a.sh('cat /sys/class/net/eth0/carrier')).trim() === '0')
    expect((await execIn(host, b.id, 'ping -c 1 -W 2 10.9.0.1')).exitCode).toBe(1)
    await networksOf(host).cut({ machine: a.id, nic: 'nic0', cut: false })
    await until(async () => (await a.sh('cat /sys/class/net/eth0/carrier')).trim() === '1')
    expect(await a.sh('ping -c 3 10.9.0.2')).toContain('3 packets received')
  })
})

describe.each(ENGINES)('a $engine machine in a NAT network', ({ engine, there }) => {
  const start = async (host: TestHost): Promise<Networked> => {
    await networksOf(host).create({ name: 'lab' })
    await networksOf(host).update({ name: 'lab', patch: { hostAccess: true } })
    return startNetworked(host, { name: 'web-1', engine, networks: ['lab'], memoryMiB: engine === 'qemu' ? 512 : 256 })
  }

  test.skipIf(!there)(
    'has an address, names, and this computer’s loopback, in both directions and families',
    { timeout: LIMIT },
    async () => {
      const host = await wholeHost()
      const guest = await start(host)
      const { gateway } = await networksOf(host).get({ name: 'lab' })
      const { ipv4, ipv6 } = gateway!
      const address = await leased(guest, 'lab')
      await until(async () => (await guest.sh('ip addr show eth0')).includes(`inet ${address}/24`))
      expect(await guest.sh(`ping -c 2 ${ipv4}`)).toContain('2 packets received')
      // It makes its own from an advertisement, and asks whether it is free, which takes longer than DHCP.
      await until(async () => /inet6 fd(?!.*tentative)/.test(await guest.sh('ip -6 addr show eth0')))
      expect(await guest.sh(`ping -c 2 ${ipv6}`)).toContain('2 packets received')
      expect(await guest.sh('nslookup web-1.lab.internal')).toContain(address)

      const down = pattern(MEGABYTES * MIB)
      const port = await webServer(down)
      await guest.sh(`wget -q -O /tmp/down http://${ipv4}:${port}/`)
      expect(await guest.sh('sha256sum /tmp/down')).toContain(sha256(down))
      expect(await guest.sh(`nc ${ipv4} ${await digestServer()} < /tmp/down`)).toBe(sha256(down))
      const small = await webServer(Buffer.from('hello'), '::1')
      expect(await guest.sh(`wget -q -O - http://[${ipv6}]:${small}/`)).toBe('hello')

      // Into the guest.
      await guest.sh('nc -ll -p 7000 -e cat > /dev/null 2>&1 < /dev/null &')
      const free = await listening(createServer())
      const hostPort = free === 65_535 ? free - 1 : free + 1
      const { network } = await networksOf(host).addForward({
        name: 'lab',
        forward: { protocol: 'tcp', hostPort, guest: guest.id, guestPort: 7000 },
      })
      await until(async () => (await networksOf(host).get({ name: 'lab' })).forwards[network.forwards[0]!.id]!.state === 'listening')
      const socket = connect(hostPort, '127.0.0.1')
      onTestFinished(() => void socket.destroy())
      socket.write('there and back\n')
      const [echoed] = (await once(socket, 'data')) as [Buffer]
      expect(echoed.toString()).toBe('there and back\n')
    },
  )

  test.skipIf(!there)(
    'that moves to another network is at home there by itself, and keeps nothing of the old one',
    { timeout: LIMIT },
    async () => {
      const host = await wholeHost()
      const networks = networksOf(host)
      await networks.create({ name: 'other' })
      await networks.update({ name: 'other', patch: { hostAccess: true } })
      const guest = await start(host)
      const nic = { machine: guest.id, nic: 'nic0' }
      const four = await webServer(Buffer.from('four'))
      const six = await webServer(Buffer.from('six'), '::1')
      await settledIn(guest, 'lab')
      for (const network of ['other', 'lab']) {
        await networks.connect({ ...nic, network })
        await settledIn(guest, network)
        const { ipv4, ipv6 } = (await networks.get({ name: network })).gateway!
        expect(await guest.sh(`nslookup web-1.${network}.internal`)).toContain(await leased(guest, network))
        expect(await guest.sh(`wget -q -O - http://${ipv4}:${four}/`)).toBe('four')
        expect(await guest.sh(`wget -q -O - http://[${ipv6}]:${six}/`)).toBe('six')
      }
      // The network becomes another one.
      await networks.update({ name: 'lab', patch: { ipv4: '10.78.0.0/24', ipv6: 'fd78::/64' } })
      await settledIn(guest, 'lab')
      // What people set by hand is theirs.
      await guest.sh('ip addr add 192.0.2.7/24 dev eth0; ip addr add 2001:db8::7/64 dev eth0')
      await networks.connect({ ...nic, network: null })
      await until(async () => !/scope global.* dynamic|inet 10\./.test(await guest.sh('ip addr show eth0')))
      expect(await guest.sh('ip addr show eth0')).toMatch(/inet 192\.0\.2\.7\/24[^]*inet6 2001:db8::7\/64/)
      expect(await guest.sh('cat /etc/resolv.conf; ip route; ip -6 route')).not.toMatch(/nameserver|default/)
      await guest.sh('ip addr del 192.0.2.7/24 dev eth0; ip addr del 2001:db8::7/64 dev eth0')
      await networks.connect({ ...nic, network: 'other' })
      await settledIn(guest, 'other')
    },
  )

  test.skipIf(!there)('that was suspended comes back with its connections closed, and makes new ones', { timeout: LIMIT }, async () => {
    const host = await wholeHost()
    const guest = await start(host)
    await leased(guest, 'lab')
    const sockets: Socket[] = []
    const port = await listening(createServer((socket) => void sockets.push(socket.on('error', () => {}))))
    const { ipv4 } = (await networksOf(host).get({ name: 'lab' })).gateway!
    await until(async () => (await execIn(host, guest.id, `ping -c 1 -W 1 ${ipv4}`)).exitCode === 0)
    await guest.sh(`(sleep 1000 | nc ${ipv4} ${port}; echo over > /tmp/over) > /dev/null 2>&1 < /dev/null &`)
    await until(() => sockets.length === 1)
    await host.done(host.machines.suspend({ id: guest.id }))
    // This computer's side hears of it.
    await until(() => sockets[0]!.closed)
    // What it knows of its network is not so any more.
    await networksOf(host).update({ name: 'lab', patch: { ipv4: '10.77.0.0/24', ipv6: 'fd77::/64' } })
    await host.machines.resume({ id: guest.id })
    await host.until(guest.id, ({ agent }) => agent)
    await settledIn(guest, 'lab')
    await guest.sh(`nc 10.77.0.1 ${port} < /dev/null > /dev/null 2>&1 &`)
    await until(() => sockets.length === 2)
  })
})
