import { describe, expect, it } from 'vitest'
import { TYPE } from '../../../../../src-main/network/services/dns/codec.ts'
import type { KnownHost } from '../../../../../src-main/network/services/dns/known-hosts.ts'
import { DnsServer, dnsSettings } from '../../../../../src-main/network/services/dns/server.ts'
import { parseIp } from '../../../../../src-shared/model/ip.ts'
import { networkSchema } from '../../../../../src-shared/model/network.ts'
import { dnsQuestion, readDnsAnswer, type ReadAnswer } from '../../../../support/dns-client.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'

const DOCUMENT = { name: 'lab', kind: 'host-only', ipv4: '10.9.0.0/24', ipv6: 'fd00:9::/64' }
const settingsOf = (dns: object = {}, more: object = {}) => dnsSettings(networkSchema.parse({ ...DOCUMENT, ...more, dns }))!

function make(dns: object = {}) {
  const hosts: KnownHost[] = [{ names: ['web'], said: ['www'], addresses: [parseIp('10.9.0.2')!, parseIp('fd00:9::2')!] }]
  const nobody = { hostServers: () => [], hostLookup: async () => [] }
  const server = new DnsServer(settingsOf(dns), () => hosts, new FakeClock(), undefined, nobody)
  const ask = async (name: string, type: number = TYPE.a, options = {}): Promise<ReadAnswer> =>
    readDnsAnswer((await server.answer(dnsQuestion(name, type, options), 'udp', 1))!)
  return { server, ask, hosts }
}

const SOA = ['lab.internal SOA gateway.lab.internal']

describe('DNS: what is known here', () => {
  it('machines have their names with and without the domain, and addresses have names', async () => {
    const { ask } = make()
    expect(await ask('web.lab.internal')).toMatchObject({ rcode: 0, authoritative: true, answers: ['web.lab.internal A 10.9.0.2'] })
    expect((await ask('WEB', TYPE.aaaa)).answers).toEqual(['WEB AAAA fd00:9::2'])
    expect((await ask('www')).answers).toEqual(['www A 10.9.0.2'])
    expect((await ask('web', TYPE.any)).answers).toEqual(['web A 10.9.0.2', 'web AAAA fd00:9::2'])
    expect((await ask('2.0.9.10.in-addr.arpa', TYPE.ptr)).answers).toEqual(['2.0.9.10.in-addr.arpa PTR web.lab.internal'])
    // fd00:9::2, digit by digit from its end.
    const six = [...('fd0000090000000000000000000000' + '02')].reverse().join('.') + '.ip6.arpa'
    expect((await ask(six, TYPE.ptr)).answers).toEqual([`${six} PTR web.lab.internal`])
    expect((await ask(six.replace('2', '3'), TYPE.ptr)).authority).toEqual([
      `${six.split('.').slice(16).join('.')} SOA gateway.lab.internal`,
    ])
  })

  it('the gateway, localhost and the domain itself', async () => {
    const { ask } = make()
    for (const name of ['gateway', 'host.lab.internal']) expect((await ask(name)).answers).toEqual([`${name} A 10.9.0.1`])
    expect((await ask('gateway', TYPE.aaaa)).answers).toEqual(['gateway AAAA fd00:9::1'])
    expect((await ask('1.0.9.10.in-addr.arpa', TYPE.ptr)).answers).toEqual(['1.0.9.10.in-addr.arpa PTR gateway.lab.internal'])
    expect((await ask('a.localhost', TYPE.aaaa)).answers).toEqual(['a.localhost AAAA ::1'])
    expect((await ask('1.0.0.127.in-addr.arpa', TYPE.ptr)).answers).toEqual(['1.0.0.127.in-addr.arpa PTR localhost'])
    expect((await ask('lab.internal', TYPE.soa)).answers).toEqual(SOA)
    expect((await ask('lab.internal', TYPE.ns)).answers).toEqual(['lab.internal NS gateway.lab.internal'])
  })

  it('what is not in its domain and subnets does not exist', async () => {
    const { ask } = make({ records: [{ type: 'A', name: 'deep.in.lab.internal', value: '10.9.0.9' }] })
    expect(await ask('nobody.lab.internal')).toMatchObject({ rcode: 3, answers: [], authority: SOA })
    expect(await ask('web.lab.internal', TYPE.mx)).toMatchObject({ rcode: 0, answers: [], authority: SOA })
    expect(await ask('web', TYPE.mx)).toMatchObject({ rcode: 0, answers: [], authority: ['web SOA gateway.lab.internal'] })
    // Something is below it.
    expect(await ask('in.lab.internal')).toMatchObject({ rcode: 0, answers: [], authority: SOA })
    expect(await ask('77.0.9.10.in-addr.arpa', TYPE.ptr)).toMatchObject({
      rcode: 3,
      authority: ['0.9.10.in-addr.arpa SOA gateway.lab.internal'],
    })
  })

  it('static records, before machines of the same name', async () => {
    const { ask, server } = make({
      records: [
        { type: 'A', name: 'web', value: '10.9.0.80' },
        { type: 'AAAA', name: 'db.lab.internal', value: 'fd00:9::db' },
        { type: 'TXT', name: 'db.lab.internal', value: 'v=1' },
        { type: 'CNAME', name: 'alias', value: 'web.lab.internal' },
        { type: 'CNAME', name: 'one', value: 'two.lab.internal' },
        { type: 'CNAME', name: 'two', value: 'one.lab.internal' },
        { type: 'A', name: 'update.example.com', value: '10.9.0.81' },
      ],
    })
    expect((await ask('web')).answers).toEqual(['web A 10.9.0.80'])
    expect((await ask('web-2')).answers).toEqual(['web-2 A 10.9.0.2'])
    expect((await ask('db', TYPE.txt)).answers).toEqual(['db TXT "v=1"'])
    expect((await ask('alias')).answers).toEqual(['alias CNAME web.lab.internal', 'web.lab.internal A 10.9.0.80'])
    expect((await ask('alias', TYPE.cname)).answers).toEqual(['alias CNAME web.lab.internal'])
    expect(await ask('one')).toMatchObject({ rcode: 2, answers: [] })
    expect((await ask('update.example.com')).answers).toEqual(['update.example.com A 10.9.0.81'])
    expect(await ask('update.example.com', TYPE.aaaa)).toMatchObject({ rcode: 0, answers: [] })
    server.configure(settingsOf())
    expect((await ask('web')).answers).toEqual(['web A 10.9.0.2'])
  })

  it('a machine whose name is too long in a long domain has its label', async () => {
    const { ask, hosts, server } = make()
    const domain = new Array(4).fill('d'.repeat(48)).join('.')
    hosts.push({ names: ['m'.repeat(63)], said: [], addresses: [parseIp('10.9.0.3')!] })
    server.configure(settingsOf({ domain }))
    expect((await ask('3.0.9.10.in-addr.arpa', TYPE.ptr)).answers).toEqual([`3.0.9.10.in-addr.arpa PTR ${'m'.repeat(63)}`])
    expect((await ask('2.0.9.10.in-addr.arpa', TYPE.ptr)).answers).toEqual([`2.0.9.10.in-addr.arpa PTR web.${domain}`])
  })

  it('machines that come are known when it is told so', async () => {
    const { ask, hosts, server } = make()
    hosts.push({ names: ['new'], said: [], addresses: [parseIp('10.9.0.3')!] })
    server.hostsChanged()
    expect((await ask('new')).answers).toEqual(['new A 10.9.0.3'])
  })
})

describe('DNS: what is refused', () => {
  it('everything else where the network has no way out', async () => {
    const { ask } = make()
    expect(await ask('example.com')).toMatchObject({ rcode: 5, recursion: false })
  })

  it('other classes, transfers, versions of EDNS, and what is no question', async () => {
    const { ask, server } = make()
    expect((await ask('version.bind', TYPE.txt, { inClass: 3 })).rcode).toBe(5)
    expect((await ask('lab.internal', TYPE.axfr)).rcode).toBe(5)
    const versioned = dnsQuestion('web', TYPE.a, { edns: 1232 })
    versioned[versioned.length - 5] = 1
    expect(readDnsAnswer((await server.answer(versioned, 'udp', 1))!).rcode).toBe(16)
    expect(await server.answer(new Uint8Array(5), 'udp', 1)).toBeNull()
    expect([...(await server.answer(Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 'udp', 1))!]).toEqual([
      1, 2, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0,
    ])
  })

  it('a network without a subnet, or that wants none, has no DNS; only NAT asks elsewhere by itself', () => {
    expect(dnsSettings(networkSchema.parse({ name: 'lab', kind: 'segment' }))).toBeNull()
    expect(dnsSettings(networkSchema.parse({ ...DOCUMENT, dns: { enabled: false } }))).toBeNull()
    expect(settingsOf().upstream).toBeNull()
    expect(settingsOf({}, { kind: 'nat' }).upstream).toEqual([])
    expect(settingsOf({ upstream: ['9.9.9.9'] }).upstream).toEqual([{ address: '9.9.9.9', port: 53 }])
  })
})
