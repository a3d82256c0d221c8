/** Real guests in networks whose packets are larger than Ethernet's: they learn of it, and use it as far as their card does. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MiB } from '../../src-shared/base/units.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { noise, seeded } from '../support/seeded.ts'
import { until } from '../support/until.ts'
import type { TestHost } from '../integration/machines/support/test-host.ts'
import { wholeHost } from './support/host-machine.ts'
import { networksOf, settledIn, startNetworked, type Networked } from './support/networked.ts'

/** ms for a test: a boot on a computer that may be busy, and what is done then. */
const LIMIT = 600_000
/** Bytes of headers before an echo's data: IPv4 (20) or IPv6 (40), and ICMP (8). */
const BEFORE_DATA = { ipv4: 28, ipv6: 48 }

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex')

async function serving(accept: (socket: Socket) => void, address: string): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => accept(socket.on('error', () => {})))
  server.listen(0, address)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function networkWith(host: TestHost, name: string, mtu: number): Promise<{ ipv4: string; ipv6: string }> {
  await networksOf(host).create({ name, mtu })
  await networksOf(host).update({ name, patch: { hostAccess: true } })
  const { gateway } = await networksOf(host).get({ name })
  return { ipv4: gateway!.ipv4!, ipv6: gateway!.ipv6! }
}

/** The card's, and that of its IPv6. */
async function mtuOf(guest: Networked): Promise<string> {
  return (await guest.sh('cat /sys/class/net/eth0/mtu /proc/sys/net/ipv6/conf/eth0/mtu')).trim().replace('\n', ' ')
}

/** How many pieces of packets it made and put together. */
async function pieces(guest: Networked): Promise<{ made: number; met: number }> {
  const [names, values] = (await guest.sh('grep ^Ip: /proc/net/snmp')).trim().split('\n')
  const valueOf = (name: string): number => Number(values!.split(' ')[names!.split(' ').indexOf(name)])
  const six = async (name: string): Promise<number> => Number(await guest.sh(`awk '$1 == "${name}" { print $2 }' /proc/net/snmp6`))
  return { made: valueOf('FragCreates') + (await six('Ip6FragCreates')), met: valueOf('ReasmReqds') + (await six('Ip6ReasmReqds')) }
}

/** Echoes as large as packets can be; none is cut in pieces on the way, in neither direction. */
async function echoesOf(guest: Networked, mtu: number, { ipv4, ipv6 }: { ipv4: string; ipv6: string }): Promise<void> {
  const before = await pieces(guest)
  expect(await guest.sh(`ping -c 3 -s ${mtu - BEFORE_DATA.ipv4} ${ipv4}`)).toContain('3 packets received')
  expect(await guest.sh(`ping -c 3 -s ${mtu - BEFORE_DATA.ipv6} ${ipv6}`)).toContain('3 packets received')
  expect(await pieces(guest)).toEqual(before)
  // One byte more is more than one packet.
  expect(await guest.sh(`ping -c 1 -s ${mtu - BEFORE_DATA.ipv4 + 1} ${ipv4}`)).toContain('1 packets received')
  expect((await pieces(guest)).made).toBeGreaterThan(before.made)
}

/** From this computer through NAT, and back. */
async function moves(guest: Networked, address: string, bytes: Buffer): Promise<void> {
  const loopback = address.includes(':') ? '::1' : '127.0.0.1'
  const down = await serving((socket) => void socket.end(bytes), loopback)
  const hash = createHash('md5')
  const up = await serving(
    (socket) => void socket.on('data', (part) => hash.update(part)).on('end', () => socket.end(hash.digest('hex'))),
    loopback,
  )
  expect(await guest.sh(`nc ${address} ${down} < /dev/null | tee /tmp/data | md5sum`)).toContain(md5(bytes))
  expect(await guest.sh(`nc ${address} ${up} < /tmp/data; rm /tmp/data`)).toBe(md5(bytes))
}

describe('large packets', () => {
  test.skipIf(!QEMU_PROGRAM)(
    'pass whole between a QEMU machine and what is outside, as large as each network has them',
    { timeout: LIMIT },
    async () => {
      const host = await wholeHost()
      const jumbo = await networkWith(host, 'jumbo', 9000)
      const huge = await networkWith(host, 'huge', 65_520)
      await networkWith(host, 'small', 1280)
      await networkWith(host, 'plain', 1500)
      const guest = await startNetworked(host, { name: 'web-1', engine: 'qemu', networks: ['jumbo'], memoryMiB: 512 })
      const bytes = Buffer.from(noise(seeded(9), 100 * MiB))
      await settledIn(guest, 'jumbo')
      expect(await mtuOf(guest)).toBe('9000 9000')
      await echoesOf(guest, 9000, jumbo)
      await moves(guest, jumbo.ipv4, bytes)
      await networksOf(host).connect({ machine: guest.id, nic: 'nic0', network: 'huge' })
      await settledIn(guest, 'huge')
      expect(await mtuOf(guest)).toBe('65520 65520')
      await echoesOf(guest, 65_520, huge)
      await moves(guest, huge.ipv6, bytes)
      for (const [name, mtu] of [
        ['small', 1280],
        ['plain', 1500],
      ] as const) {
        await networksOf(host).connect({ machine: guest.id, nic: 'nic0', network: name })
        await settledIn(guest, name)
        expect(await mtuOf(guest)).toBe(`${mtu} ${mtu}`)
      }
      // Without a lease it is the card's own again.
      await networksOf(host).connect({ machine: guest.id, nic: 'nic0', network: 'jumbo' })
      await settledIn(guest, 'jumbo')
      await networksOf(host).create({ name: 'alone', kind: 'segment', ipv4: null, ipv6: null })
      await networksOf(host).connect({ machine: guest.id, nic: 'nic0', network: 'alone' })
      await until(async () => (await mtuOf(guest)) === '1500 1500')
    },
  )

  test('that its card cannot take do an embedded machine no harm', { timeout: LIMIT }, async () => {
    const host = await wholeHost()
    const { ipv4, ipv6 } = await networkWith(host, 'jumbo', 9000)
    const guest = await startNetworked(host, { name: 'web-1', engine: 'embedded', networks: ['jumbo'], memoryMiB: 256 })
    await settledIn(guest, 'jumbo')
    expect(await mtuOf(guest)).toBe('1500 1500')
    expect(await guest.sh('dmesg')).toContain('coppice: eth0: an MTU of 9000 is offered, which the card does not take; it stays at 1500')
    const bytes = Buffer.from(noise(seeded(9), 4 * MiB))
    await moves(guest, ipv4, bytes)
    await moves(guest, ipv6, bytes)
  })
})
