/** DNS that asks other servers: real sockets on loopback, and dig as a client. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { REAL_CLOCK, type Clock } from '../../../../src-main/network/clock.ts'
import { buildDns, scanDns, TYPE } from '../../../../src-main/network/services/dns/codec.ts'
import type { DnsUpstream } from '../../../../src-main/network/services/dns/exchange.ts'
import { hostLookup, hostServers, parseServer } from '../../../../src-main/network/services/dns/host-resolver.ts'
import { DnsServer, dnsSettings } from '../../../../src-main/network/services/dns/server.ts'
import { serveDnsStream, type DnsStream } from '../../../../src-main/network/services/dns/stream.ts'
import { frameMessage, splitMessages } from '../../../../src-main/network/services/dns/tcp-messages.ts'
import { formatIp, parseIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { networkSchema } from '../../../../src-shared/model/network.ts'
import { aRecords, dnsQuestion, readDnsAnswer, soaRecord } from '../../../support/dns-client.ts'
import { dnsDouble, type DnsDouble, type Scripted } from '../../../support/dns-upstream.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { output, without } from '../../../support/programs.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function upstream(script: Parameters<typeof dnsDouble>[0]): Promise<DnsDouble> {
  const double = await dnsDouble(script)
  closing.push(() => double.close())
  return double
}

/** @param servers given ones; null: those of the host, which are `hostPorts` */
function make(
  servers: readonly DnsDouble[] | null,
  {
    clock = REAL_CLOCK as Clock,
    host = [] as readonly DnsDouble[],
    lookup = async (): Promise<IpAddress[]> => [],
    records = [] as object[],
  } = {},
) {
  const settings = dnsSettings(networkSchema.parse({ name: 'lab', ipv4: '10.9.0.0/24', dns: { records } }))!
  const at = ({ port }: DnsDouble): DnsUpstream => ({ address: '127.0.0.1', port })
  const upstreams = (servers ?? []).map(at)
  const server = new DnsServer(
    { ...settings, upstream: upstreams },
    () => [],
    clock,
    (card) => card % 10,
    {
      hostServers: () => host.map(at),
      hostLookup: lookup,
    },
  )
  closing.push(() => server.dispose())
  const raw = async (
    name: string,
    type: number = TYPE.a,
    { over = 'udp' as 'udp' | 'tcp', card = 1, ...options }: { over?: 'udp' | 'tcp'; card?: number; id?: number; edns?: number } = {},
  ) => (await server.answer(dnsQuestion(name, type, options), over, card))!
  const ask = async (...args: Parameters<typeof raw>) => readDnsAnswer(await raw(...args))
  return { server, ask, raw }
}

describe('DNS that asks elsewhere', () => {
  it('hands on what comes, keeps it while it may, and no longer', async () => {
    const clock = new FakeClock()
    const double = await upstream((name) =>
      name === 'none.test' ? { rcode: 3, authority: [soaRecord('test', 5)] } : { answers: aRecords(name, ['192.0.2.7'], 30) },
    )
    const { ask, raw } = make([double], { clock })
    expect(await ask('www.test')).toEqual({
      rcode: 0,
      authoritative: false,
      truncated: false,
      recursion: true,
      answers: ['www.test A 192.0.2.7'],
      authority: [],
    })
    clock.advance(10_000)
    const again = scanDns(await raw('WWW.test', TYPE.a, { id: 99 }))!
    expect(again).toMatchObject({ id: 99, question: { name: 'WWW.test' } })
    expect(again.records[0]!.ttl).toBe(20)
    expect(await ask('none.test')).toMatchObject({ rcode: 3, authority: ['test SOA ns.test'] })
    await ask('none.test')
    expect(double.asked).toEqual(['udp www.test 1', 'udp none.test 1'])
    clock.advance(21_000)
    await ask('www.test')
    expect(double.asked).toHaveLength(3)
  })

  it('answers that are another’s, or to another question, are passed over', async () => {
    const double = await dnsDouble(() => 'silence')
    closing.push(() => double.close())
    const forger = createSocket('udp4')
    forger.bind(0, '127.0.0.1')
    await once(forger, 'listening')
    closing.push(() => forger.close())
    forger.on('message', (query, from) => {
      const { id, question } = scanDns(query)!
      const send = (message: object): void =>
        forger.send(buildDns({ id, flags: 0x8180, question, answers: aRecords('www.test', ['192.0.2.66']), ...message }), from.port)
      send({ id: id ^ 1 })
      send({ flags: 0x0100 })
      send({ question: { ...question!, name: 'other.test' } })
      send({ question: { ...question!, type: TYPE.aaaa } })
      forger.send(query.subarray(0, 20), from.port)
      send({ answers: aRecords('www.test', ['192.0.2.1']) })
    })
    const { ask } = make([{ ...double, port: forger.address().port }])
    expect((await ask('www.test')).answers).toEqual(['www.test A 192.0.2.1'])
  })

  it('a long answer comes by TCP, whole for who asks so and cut for others', async () => {
    const addresses = Array.from({ length: 200 }, (_, at) => `192.0.2.${at}`)
    const double = await upstream((name, _, over) => (over === 'udp' ? { flags: 0x8380 } : { answers: aRecords(name, addresses) }))
    const { ask } = make([double])
    expect(await ask('big.test')).toMatchObject({ truncated: true, answers: [] })
    expect((await ask('big.test', TYPE.a, { over: 'tcp' })).answers).toHaveLength(200)
    expect((await ask('big.test', TYPE.a, { edns: 4096 })).answers).toHaveLength(200)
    expect(double.asked).toEqual(['udp big.test 1', 'tcp big.test 1'])
  })

  it('a server that is silent, closed, refuses or knows no EDNS is no end; the one that answered is asked first', async () => {
    const clock = new FakeClock()
    const closed = await dnsDouble(() => 'silence')
    await closed.close()
    const silent = await upstream(() => {
      setImmediate(() => clock.advance(1500))
      return 'silence'
    })
    const refusing = await upstream(() => ({ rcode: 5 }))
    let first = true
    const old = await upstream((name) => {
      const scripted: Scripted = first ? { rcode: 1, question: null } : { answers: aRecords(name, ['192.0.2.9']) }
      first = !first
      return scripted
    })
    const { ask } = make([closed, silent, refusing, old], { clock })
    expect((await ask('a.test')).answers).toEqual(['a.test A 192.0.2.9'])
    expect((await ask('b.test')).answers).toEqual(['b.test A 192.0.2.9'])
    expect([silent.asked.length, refusing.asked.length, old.asked.length]).toEqual([1, 1, 4])
  })

  it('where nobody answers it says so', async () => {
    const clock = new FakeClock()
    const silent = await upstream(() => {
      setImmediate(() => clock.advance(5000))
      return 'silence'
    })
    const refusing = await upstream(() => ({ rcode: 5 }))
    expect(await make([silent], { clock }).ask('a.test')).toMatchObject({ rcode: 2, recursion: true })
    expect(silent.asked).toHaveLength(2)
    expect(await make([refusing]).ask('a.test')).toMatchObject({ rcode: 5 })
  })

  it('the same question of many waits once, others are so many of one share of cards, and more are told no', async () => {
    const waiting: (() => void)[] = []
    const double = await upstream(
      (name) => new Promise((resolve) => waiting.push(() => resolve({ answers: aRecords(name, ['192.0.2.1']) }))),
    )
    const { ask, server } = make([double])
    const same = Array.from({ length: 20 }, () => ask('same.test', TYPE.a, { card: 1 }))
    await expect.poll(() => waiting.length).toBe(1)
    const many = Array.from({ length: 100 }, (_, at) => ask(`name-${at}.test`, TYPE.a, { card: 1 + 10 * at }))
    const refused = (await Promise.all(many.slice(44))).filter(({ rcode }) => rcode === 2)
    expect(refused).toHaveLength(56)
    const other = ask('other.test', TYPE.a, { card: 2 })
    await expect.poll(() => waiting.length).toBe(46)
    for (const answer of waiting) answer()
    expect((await Promise.all([...same, ...many.slice(0, 44), other])).every(({ answers }) => answers.length === 1)).toBe(true)
    expect(server.counters.refused).toBe(56)
  })

  it('what waits when it ends is told no, and nothing is left open', async () => {
    const double = await upstream(() => 'silence')
    const { ask, server } = make([double])
    const answer = ask('a.test')
    await expect.poll(() => double.asked.length).toBe(1)
    server.dispose()
    expect((await answer).rcode).toBe(2)
  })

  it('an alias here may lead outside', async () => {
    const double = await upstream((name) => ({
      answers: [
        { name, type: TYPE.cname, class: 1, ttl: 9, data: Uint8Array.of(3, 99, 100, 110, 0xc0, 12) },
        ...aRecords(`cdn.${name}`, ['192.0.2.4']),
      ],
    }))
    const { ask } = make([double], { records: [{ type: 'CNAME', name: 'files', value: 'files.test' }] })
    expect((await ask('files.lab.internal')).answers).toEqual([
      'files.lab.internal CNAME files.test',
      'files.test CNAME cdn.files.test',
      'cdn.files.test A 192.0.2.4',
    ])
  })
})

describe('DNS that asks as this computer does', () => {
  it('its system is asked where its servers do not know, for addresses of hosts', async () => {
    const double = await upstream((name) => (name === 'known.test' ? { answers: aRecords(name, ['192.0.2.1']) } : { rcode: 3 }))
    const lookups: string[] = []
    const lookup = async (name: string, family: number): Promise<IpAddress[]> => {
      lookups.push(`${name} ${family}`)
      return name === 'nas' ? [parseIp(family === 4 ? '192.168.7.7' : 'fd77::7')!] : []
    }
    const { ask } = make(null, { host: [double], lookup: lookup as () => Promise<IpAddress[]> })
    expect((await ask('known.test')).answers).toEqual(['known.test A 192.0.2.1'])
    expect((await ask('nas')).answers).toEqual(['nas A 192.168.7.7'])
    expect((await ask('nas', TYPE.aaaa)).answers).toEqual(['nas AAAA fd77::7'])
    expect(await ask('nobody.test')).toMatchObject({ rcode: 3 })
    expect(await ask('nobody.test', TYPE.mx)).toMatchObject({ rcode: 3 })
    expect(await ask('odd name', TYPE.a)).toMatchObject({ rcode: 3 })
    expect(lookups).toEqual(['nas 4', 'nas 6', 'nobody.test 4'])
    // Servers that were given are all that is asked.
    expect(await make([double], { lookup: lookup as () => Promise<IpAddress[]> }).ask('nas')).toMatchObject({ rcode: 3 })
    // Without any server its system is.
    expect((await make(null, { lookup: lookup as () => Promise<IpAddress[]> }).ask('nas')).answers).toEqual(['nas A 192.168.7.7'])
  })

  it('its loopback is nobody’s address', async () => {
    expect(await hostLookup('localhost', 4)).toEqual([])
    expect((await hostLookup('192.0.2.3', 4)).map(formatIp)).toEqual(['192.0.2.3'])
  })

  it('its servers are read as its system writes them', () => {
    expect(Array.isArray(hostServers())).toBe(true)
    expect(parseServer('127.0.0.53')).toEqual({ address: '127.0.0.53', port: 53 })
    expect(parseServer('192.0.2.1:5353')).toEqual({ address: '192.0.2.1', port: 5353 })
    expect(parseServer('[2001:db8::1]:5353')).toEqual({ address: '2001:db8::1', port: 5353 })
    expect(parseServer('fe80::1%eth0')).toEqual({ address: 'fe80::1%eth0', port: 53 })
    expect(parseServer('nonsense')).toBeNull()
  })
})

/** The server behind real sockets of one port, as machines reach it by the gateway. */
async function onLoopback(server: DnsServer): Promise<number> {
  const tcp = createServer((socket) => {
    const stream: DnsStream = {
      sourceMac: 1,
      receive: () => {},
      closed: () => {},
      write: (bytes) => (socket.write(Uint8Array.from(bytes)), true),
      end: () => void socket.end(),
      reset: () => void socket.resetAndDestroy(),
    }
    serveDnsStream(server, REAL_CLOCK, stream)
    socket.on('data', (bytes) => stream.receive(bytes))
    socket.on('end', () => stream.receive(null))
    socket.on('close', () => stream.closed())
    socket.on('error', () => {})
  })
  tcp.listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (payload, from) =>
    server.receive(
      {
        payload,
        source: parseIp(from.address)!,
        sourcePort: from.port,
        destination: parseIp('127.0.0.1')!,
        destinationPort: 53,
        sourceMac: 1,
      },
      (bytes) => udp.send(bytes, from.port, from.address),
    ),
  )
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  closing.push(() => udp.close())
  closing.push(() => tcp.close())
  return port
}

describe.skipIf(without('dig'))('DNS for dig', () => {
  const dig = (port: number, ...args: string[]): Promise<string> =>
    output('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=5', ...args])

  it('over UDP and TCP, with EDNS and without: no warnings, and the right answers', async () => {
    const addresses = Array.from({ length: 200 }, (_, at) => `192.0.2.${at}`)
    const double = await upstream((name, _, over) =>
      name === 'big.test'
        ? over === 'udp'
          ? { flags: 0x8380 }
          : { answers: aRecords(name, addresses) }
        : { rcode: 3, authority: [soaRecord('test', 5)] },
    )
    const { server } = make([double], { records: [{ type: 'TXT', name: 'note', value: 'a note' }] })
    const port = await onLoopback(server)
    const texts = await Promise.all([
      dig(port, 'gateway.lab.internal', 'A', '+nocookie'),
      dig(port, 'gateway', 'A', '+tcp'),
      dig(port, 'note.lab.internal', 'TXT', '+noedns'),
      dig(port, '-x', '10.9.0.1'),
      dig(port, 'nobody.lab.internal', 'AAAA', '+dnssec'),
      dig(port, 'none.test', 'A'),
      dig(port, 'big.test', 'A'),
    ])
    for (const text of texts) expect(text).not.toMatch(/WARNING|Warning|malformed|extra bytes/)
    const [a, tcp, txt, ptr, none, elsewhere, big] = texts
    expect(a).toMatch(/status: NOERROR.*flags: qr aa rd ra;.*gateway\.lab\.internal\.\s+30\s+IN\s+A\s+10\.9\.0\.1/s)
    expect(tcp).toMatch(/gateway\.\s+30\s+IN\s+A\s+10\.9\.0\.1/)
    expect(txt).toMatch(/TXT\s+"a note"/)
    expect(ptr).toMatch(/1\.0\.9\.10\.in-addr\.arpa\.\s+30\s+IN\s+PTR\s+gateway\.lab\.internal\./)
    expect(none).toMatch(
      /status: NXDOMAIN.*EDNS: version: 0, flags: do; udp: 1232.*lab\.internal\.\s+10\s+IN\s+SOA\s+gateway\.lab\.internal\. hostmaster\.lab\.internal\. 1 3600 600 86400 10/s,
    )
    expect(elsewhere).toMatch(/status: NXDOMAIN.*flags: qr rd ra;/s)
    // It came back by TCP by itself.
    expect(big).toMatch(/Truncated, retrying in TCP mode.*ANSWER: 200/s)
  })
})

describe('DNS over a connection', () => {
  it('many questions at once are answered, and then the other end is heard', async () => {
    const { server } = make([])
    const written: Uint8Array[] = []
    const seen: string[] = []
    const stream: DnsStream = {
      sourceMac: 1,
      receive: () => {},
      closed: () => {},
      write: (bytes) => (written.push(bytes.slice()), true),
      end: () => seen.push('end'),
      reset: () => seen.push('reset'),
    }
    serveDnsStream(server, REAL_CLOCK, stream)
    const bytes = Uint8Array.from([...'123'].flatMap((id) => [...frameMessage(dnsQuestion('gateway', TYPE.a, { id: Number(id) }))]))
    for (const byte of bytes) stream.receive(Uint8Array.of(byte))
    stream.receive(null)
    await expect.poll(() => seen).toEqual(['end'])
    const messages = written.flatMap((one) => splitMessages()(one))
    expect(messages.map((one) => scanDns(one)!.id)).toEqual([1, 2, 3])
  })

  it('one that stands still is ended, one that asks too much at once, does not read or asks nonsense is reset', async () => {
    const clock = new FakeClock()
    const double = await upstream(() => 'silence')
    const { server } = make([double])
    const open = (room = true) => {
      const seen: string[] = []
      const stream: DnsStream = {
        sourceMac: 1,
        receive: () => {},
        closed: () => {},
        write: () => room,
        end: () => seen.push('end'),
        reset: () => seen.push('reset'),
      }
      serveDnsStream(server, clock, stream)
      return { stream, seen }
    }
    const idle = open()
    clock.advance(9000)
    idle.stream.receive(Uint8Array.of(0))
    clock.advance(9000)
    expect(idle.seen).toEqual([])
    clock.advance(2000)
    expect(idle.seen).toEqual(['end'])
    const greedy = open()
    for (let at = 0; at < 40; at++) greedy.stream.receive(frameMessage(dnsQuestion(`${at}.test`, TYPE.a)))
    expect(greedy.seen).toEqual(['reset'])
    const deaf = open(false)
    deaf.stream.receive(frameMessage(dnsQuestion('gateway', TYPE.a)))
    await expect.poll(() => deaf.seen).toEqual(['reset'])
    const odd = open()
    odd.stream.receive(Uint8Array.of(0, 2, 1, 1))
    await expect.poll(() => odd.seen).toEqual(['reset'])
    const gone = open()
    gone.stream.closed()
    expect(clock.waiting).toBe(0)
  })
})
