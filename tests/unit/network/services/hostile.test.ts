/** Whatever machines send to the services: each takes it, none grows, none throws. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { UdpRequest, UdpService, UdpServices } from '../../../../src-main/network/gateway/udp-service.ts'
import { buildDhcp, DHCP } from '../../../../src-main/network/services/dhcp/codec.ts'
import { Leases, MAX_LEASES } from '../../../../src-main/network/services/dhcp/leases.ts'
import { OPTION } from '../../../../src-main/network/services/dhcp/options.ts'
import { DhcpServer } from '../../../../src-main/network/services/dhcp/server.ts'
import { dhcpSettings } from '../../../../src-main/network/services/dhcp/settings.ts'
import { buildDhcp6 } from '../../../../src-main/network/services/dhcp6/codec.ts'
import { Dhcp6Server } from '../../../../src-main/network/services/dhcp6/server.ts'
import { knownHosts } from '../../../../src-main/network/services/dns/known-hosts.ts'
import { DnsServer, dnsSettings } from '../../../../src-main/network/services/dns/server.ts'
import { NtpServer } from '../../../../src-main/network/services/ntp/server.ts'
import { buildTftp } from '../../../../src-main/network/services/tftp/codec.ts'
import { TftpServer } from '../../../../src-main/network/services/tftp/server.ts'
import { parseIp } from '../../../../src-shared/model/ip.ts'
import { networkSchema } from '../../../../src-shared/model/network.ts'
import { dnsQuestion } from '../../../support/dns-client.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const NETWORK = networkSchema.parse({
  name: 'lab',
  kind: 'host-only',
  ipv4: '10.9.0.0/22',
  ipv6: 'fd00:9::/64',
  dhcp: { bootFile: 'pxe.0' },
})
const GATEWAY = parseIp('10.9.0.1')!

function makeServices() {
  const clock = new FakeClock()
  const services = new Map<number, UdpService>()
  const udp: UdpServices = {
    listen(service) {
      services.set(service.port, service)
      return { dispose: () => void services.delete(service.port) }
    },
  }
  const settings = dhcpSettings(NETWORK, [])!
  const leases = new Leases('lab', clock, settings.pool)
  const dns = new DnsServer(dnsSettings(NETWORK)!, () => knownHosts([], [], leases.list()), clock)
  leases.onChanged(() => dns.hostsChanged())
  udp.listen(new DhcpServer(settings, leases, clock))
  udp.listen(dns)
  udp.listen(new NtpServer(clock))
  udp.listen(new Dhcp6Server({ mac: 0x5255_0000_0001, dns: [parseIp('fd00:9::1')!], ntp: [], domain: 'lab.internal' }))
  const tftp = new TftpServer('/nowhere', udp, clock)
  return { clock, services, leases, dns, tftp }
}

/** Real messages, to be changed here and there. */
const SEEDS: [port: number, payload: Uint8Array][] = [
  ...Object.values(DHCP).map((type): [number, Uint8Array] => [
    67,
    buildDhcp({
      op: 'request',
      type,
      chaddr: 0x5254_0000_0001,
      xid: 1,
      options: new Map([
        [OPTION.requestedAddress, parseIp('10.9.0.2')!],
        [OPTION.serverId, GATEWAY],
        [OPTION.hostName, new TextEncoder().encode('guest')],
        [OPTION.parameters, Uint8Array.of(1, 3, 6, 12, 15, 26, 28, 42, 66, 67, 121)],
      ]),
    }),
  ]),
  [53, dnsQuestion('guest.lab.internal', 1, { edns: 1232 })],
  [53, dnsQuestion('2.0.9.10.in-addr.arpa', 12)],
  [123, Uint8Array.of(0x23, ...new Uint8Array(47))],
  [
    547,
    buildDhcp6({
      type: 11,
      transaction: 1,
      options: [
        [1, Uint8Array.of(0, 3, 0, 1, 1, 2, 3, 4, 5, 6)],
        [6, Uint8Array.of(0, 23, 0, 24)],
      ],
    }),
  ],
  [69, buildTftp({ kind: 'read', file: 'pxe.0', mode: 'octet', options: new Map([['blksize', '1428']]) })],
]

const arbitrary = fc.oneof(
  fc.tuple(fc.constantFrom(53, 67, 69, 123, 547), fc.uint8Array({ maxLength: 700 })),
  fc
    .tuple(fc.constantFrom(...SEEDS), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.option(fc.nat(600)))
    .map(([[port, seed], changes, cut]): [number, Uint8Array] => {
      const payload = seed.slice()
      for (const [at, value] of changes) payload[at % payload.length] = value
      return [port, cut === null ? payload : payload.subarray(0, cut)]
    }),
)

describe('services', () => {
  it('take any bytes', async () => {
    const { clock, services, leases, dns, tftp } = makeServices()
    let answered = 0
    await fc.assert(
      fc.asyncProperty(fc.array(arbitrary, { maxLength: 20 }), fc.nat(2 ** 32), fc.nat(120_000), async (datagrams, card, pause) => {
        for (const [port, payload] of datagrams) {
          const request: UdpRequest = {
            source: card % 2 === 0 ? parseIp('10.9.0.2')! : new Uint8Array(4),
            sourcePort: 1024 + (card % 60_000),
            destination: GATEWAY,
            destinationPort: port,
            payload,
            sourceMac: 0x5254_0000_0000 + card,
          }
          services.get(port)!.receive(request, (bytes) => {
            answered++
            expect(bytes.length).toBeGreaterThan(3)
            expect(bytes.length).toBeLessThan(1500)
          })
        }
        await new Promise(setImmediate)
        clock.advance(pause)
      }),
    )
    expect(answered).toBeGreaterThan(10)
    expect(leases.size).toBeLessThanOrEqual(MAX_LEASES)
    await expect.poll(() => tftp.transfers).toBe(0)
    expect([...services.keys()].sort((a, b) => a - b)).toEqual([53, 67, 69, 123, 547])
    dns.dispose()
    tftp.dispose()
  })
})
