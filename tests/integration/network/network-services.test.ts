/** What a gateway has for its machines, through the network thread as the host has it. */
import { writeFile, readFile } from 'node:fs/promises'
import { createServer, connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { gatewayMac } from '../../../src-shared/model/mac.ts'
import type { Forward, Network } from '../../../src-shared/model/network.ts'
import type { LeaseChange, NetworkAlert } from '../../../src-shared/threads/network-thread.ts'
import { scanDns, recordAt, TYPE, CLASS_IN, RCODE } from '../../../src-main/network/services/dns/codec.ts'
import { buildQuery } from '../../../src-main/network/services/dns/query.ts'
import { OPTION } from '../../../src-main/network/services/dhcp/options.ts'
import { TCP } from '../../../src-main/network/codec/tcp.ts'
import { formatIp } from '../../../src-shared/model/ip.ts'
import { tcpFrame, udpFrame } from '../../support/frames.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { until } from '../../support/until.ts'
import { GuestCard } from '../support/guest-card.ts'
import { networkOf, startNetworkThread, type NetworkApi } from '../support/network-thread.ts'

const GATEWAY = '10.7.0.1'
const lab = (more: Record<string, unknown> = {}): Network => networkOf('lab', { kind: 'nat', ipv4: '10.7.0.0/24', ...more })

/** A thread with one network and a machine in it that has its lease. */
async function withGuest(more: Record<string, unknown> = {}, names: Record<string, string> = {}) {
  const { api, worker } = startNetworkThread()
  await api.configure({ networks: [lab(more)], routers: [], names })
  const guest = new GuestCard(1, 'lab')
  await api.plug(guest.plug)
  const acknowledged = await guest.lease('guest-1')
  guest.answerArp()
  return { api, worker, guest, acknowledged, gateway: gatewayMac('lab') }
}

test('a machine gets an address, finds its gateway and pings it; the lease outlives the thread', async () => {
  const { api, worker, guest, acknowledged } = await withGuest()
  expect(guest.address).toMatch(/^10\.7\.0\.\d+$/)
  expect(formatIp(acknowledged.options.get(OPTION.router)!)).toBe(GATEWAY)
  expect(await guest.resolve(GATEWAY)).toBe(gatewayMac('lab'))
  await guest.ping(GATEWAY, gatewayMac('lab'))
  const leases = await api.leases({ network: 'lab' })
  expect(leases).toMatchObject([{ network: 'lab', mac: guest.plug.mac, address: guest.address, hostName: 'guest-1' }])
  await worker.terminate()

  const next = startNetworkThread()
  await next.api.configure({ networks: [lab()], routers: [], names: {} })
  await next.api.restoreLeases({ leases })
  // Another machine comes first.
  const other = new GuestCard(2, 'lab')
  await next.api.plug(other.plug)
  await next.api.plug(guest.plug)
  await other.lease('guest-2')
  expect(other.address).not.toBe(guest.address)
  const before = guest.address
  await guest.lease('guest-1')
  expect(guest.address).toBe(before)
  const changes: LeaseChange[] = []
  next.api.leasesChanged((more) => changes.push(...more))
  await next.api.releaseLease({ network: 'lab', mac: other.plug.mac })
  await until(() => changes.some(({ kind, lease }) => kind === 'removed' && lease.mac === other.plug.mac))
})

test('machines are found by name, as people call them; records, too, and nothing else', async () => {
  const names = { '00000000-0000-4000-8000-000000000001': 'Web Server' }
  const { api, guest, gateway } = await withGuest(
    { kind: 'host-only', dns: { records: [{ type: 'A', name: 'db.lab.internal', value: '10.7.0.99' }] } },
    names,
  )
  let id = 0
  const ask = async (name: string): Promise<string[] | number> => {
    const answer = await guest.udp(
      GATEWAY,
      53,
      gateway,
      buildQuery({ name, type: TYPE.a, class: CLASS_IN, checkingDisabled: false, edns: null }, ++id),
    )
    const scan = scanDns(answer)!
    const found = scan.records.flatMap((place) => (place.section === 'answer' ? (recordAt(answer, place) ?? []) : []))
    return found.length > 0 ? found.map(({ data }) => formatIp(data)) : scan.flags & 15
  }
  expect(await ask('web-server.lab.internal')).toEqual([guest.address])
  expect(await ask('db.lab.internal')).toEqual(['10.7.0.99'])
  expect(await ask('nobody.lab.internal')).toBe(RCODE.noName)
  await api.configure({
    networks: [lab({ kind: 'host-only', dns: { domain: 'my.lan' } })],
    routers: [],
    names: { ...names, '00000000-0000-4000-8000-000000000001': 'web' },
  })
  expect(await ask('web.my.lan')).toEqual([guest.address])
  await api.configure({ networks: [lab({ kind: 'host-only', dns: { enabled: false } })], routers: [], names })
  guest.send(udpFrame({ from: guest.address, to: GATEWAY, fromMac: guest.plug.mac, toMac: gateway }, 50_000, 53, 'anybody?'))
  // ICMP: port unreachable.
  await until(() => guest.got.some((frame) => frame[23] === 1 && frame[34] === 3 && frame[35] === 3))
})

test('NTP and TFTP answer where they are wished', async () => {
  const folder = await tempFolder()
  await writeFile(path.join(folder, 'boot.txt'), 'boot me')
  const { guest, gateway } = await withGuest({ tftp: folder })
  const time = await guest.udp(GATEWAY, 123, gateway, Buffer.alloc(48).fill(0x23, 0, 1))
  expect(time.length).toBe(48)
  const block = await guest.udp(GATEWAY, 69, gateway, Buffer.from('\0\x01boot.txt\0octet\0'))
  expect(Buffer.from(block).toString()).toBe('\0\x03\0\x01boot me')
})

test('a router hands packets from one network to the other', async () => {
  const { api } = startNetworkThread()
  const two = networkOf('two', { kind: 'host-only', ipv4: '10.8.0.0/24' })
  const router = {
    name: 'edge',
    interfaces: [
      { network: 'lab', ipv4: '10.7.0.254', ipv6: null },
      { network: 'two', ipv4: '10.8.0.254', ipv6: null },
    ],
  }
  await api.configure({ networks: [lab(), two], routers: [], names: {} })
  const [a, b] = [new GuestCard(1, 'lab'), new GuestCard(2, 'two')]
  for (const guest of [a, b]) {
    await api.plug(guest.plug)
    await guest.lease('guest')
    guest.answerArp()
  }
  // Drawn while they run.
  await api.configure({ networks: [lab(), two], routers: [router], names: {} })
  const ends = { from: a.address, to: b.address, fromMac: a.plug.mac, toMac: gatewayMac('lab') }
  a.send(udpFrame(ends, 5000, 6000, 'across'))
  await until(() => b.got.some((frame) => frame.includes('across')))
  const edge = await a.resolve('10.7.0.254')
  await a.ping('10.8.0.254', gatewayMac('lab'))
  await a.ping('10.8.0.1', edge)
  await a.ping('10.8.0.1', gatewayMac('lab'))
  await api.configure({ networks: [lab(), two], routers: [], names: {} })
  const { ports } = await api.state({})
  expect(ports).toHaveLength(2)
})

/** A port of this computer at which nobody listens now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const forward = (id: number, hostPort: number, more: Partial<Forward> = {}): Forward => ({
  ...{ id: `00000000-0000-4000-8000-00000000000${id}`, protocol: 'tcp', hostAddress: '127.0.0.1', hostPort },
  ...{ guest: '00000000-0000-4000-8000-000000000001', guestPort: 22, ...more },
})

/** Connects to a forward of port 22, and takes the connection as the machine would. @returns the host's end, and what the machine sees of it */
async function connectTo(guest: GuestCard, port: number) {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  const segment = (flag: number) => guest.got.find((frame) => frame[23] === 6 && frame.readUInt16BE(36) === 22 && (frame[47]! & flag) !== 0)
  await until(() => segment(TCP.syn) !== undefined)
  const syn = segment(TCP.syn)!
  const ends = { from: guest.address, to: formatIp(syn.subarray(26, 30)), fromMac: guest.plug.mac, toMac: gatewayMac('lab') }
  const acknowledgment = (syn.readUInt32BE(38) + 1) >>> 0
  const answer = { sourcePort: 22, destinationPort: syn.readUInt16BE(34), acknowledgment }
  guest.send(tcpFrame(ends, { ...answer, sequence: 1000, flags: TCP.syn | TCP.ack }))
  guest.send(tcpFrame(ends, { ...answer, sequence: 1001, flags: TCP.ack | TCP.psh, payload: Buffer.from('hello') }))
  const [hello] = (await once(socket, 'data')) as [Buffer]
  return { socket, hello: hello.toString(), wasReset: () => segment(TCP.rst) !== undefined }
}

const stateOf = async (api: NetworkApi) => (await api.state({})).networks[0]!

test('a forward leads from the host to a machine that is known by its id, and says why it cannot listen', async () => {
  const busy = createServer().listen(0, '127.0.0.1')
  await once(busy, 'listening')
  onTestFinished(() => void busy.close())
  const port = await freePort()
  const { api, guest } = await withGuest({ forwards: [forward(1, port), forward(2, (busy.address() as AddressInfo).port)] })
  await until(async () => {
    const { forwards } = await stateOf(api)
    return forwards[forward(1, port).id] === null && forwards[forward(2, port).id]?.code === 'unavailable'
  })
  expect((await connectTo(guest, port)).hello).toBe('hello')
  expect((await stateOf(api)).flows.tcp).toBe(1)
})

test('what changes beside a connection does not disturb it; it ends with its machine’s flows, and with its card', async () => {
  const [port, other] = [await freePort(), await freePort()]
  const { api, guest } = await withGuest({ forwards: [forward(1, port)] })
  const first = await connectTo(guest, port)
  const more = {
    forwards: [forward(1, port), forward(2, other)],
    dhcp: { leaseTime: 600 },
    dns: { domain: 'my.lan' },
    watch: { off: ['dns-tunnel'] },
  }
  await api.configure({ networks: [lab(more), networkOf('two')], routers: [], names: {} })
  await api.setPort({ port: guest.plug.port, private: true })
  await until(async () => (await stateOf(api)).forwards[forward(2, other).id] === null)
  expect((await stateOf(api)).flows.tcp).toBe(1)
  expect(first.socket.destroyed).toBe(false)
  const closed = new Promise((resolve) => first.socket.once('close', resolve))
  await api.closeFlows({ machine: guest.plug.machine })
  await closed
  await until(() => first.wasReset())
  guest.got.length = 0
  const second = await connectTo(guest, other)
  const gone = new Promise((resolve) => second.socket.once('close', resolve))
  await api.unplug({ port: guest.plug.port })
  await gone
  await until(async () => (await stateOf(api)).flows.tcp === 0)
})

test('a forward finds a machine that took an address by itself', async () => {
  const port = await freePort()
  const { api } = startNetworkThread()
  await api.configure({ networks: [lab({ dhcp: { enabled: false }, forwards: [forward(1, port)] })], routers: [], names: {} })
  const guest = new GuestCard(1, 'lab')
  guest.address = '10.7.0.77'
  guest.answerArp()
  await api.plug(guest.plug)
  await guest.ping(GATEWAY, gatewayMac('lab'))
  expect((await connectTo(guest, port)).hello).toBe('hello')
})

test('nothing of a private machine is kept, at its gateway neither', async () => {
  const { api, guest } = await withGuest()
  const hidden = new GuestCard(2, 'lab', { private: true })
  await api.plug(hidden.plug)
  await hidden.lease('hidden')
  await hidden.ping(GATEWAY, gatewayMac('lab'))
  await guest.ping(GATEWAY, gatewayMac('lab'))
  const file = path.join(await tempFolder(), 'all.pcapng')
  await api.capture({ target: { network: 'lab' }, path: file, last: 3_600_000, duration: null })
  const bytes = await readFile(file)
  const sentBy = (card: GuestCard): Buffer =>
    Buffer.concat([Buffer.from(gatewayMac('lab').replaceAll(':', ''), 'hex'), Buffer.from(card.plug.mac.replaceAll(':', ''), 'hex')])
  expect(bytes.includes(sentBy(guest))).toBe(true)
  expect(bytes.includes(sentBy(hidden))).toBe(false)
})

/** Two networks with a router between them. */
async function withRouter() {
  const { api } = startNetworkThread()
  const networks = [lab(), networkOf('two', { kind: 'nat', ipv4: '10.8.0.0/24' })]
  const interfaces = [
    { network: 'lab', ipv4: '10.7.0.254', ipv6: null },
    { network: 'two', ipv4: '10.8.0.254', ipv6: null },
  ]
  await api.configure({ networks, routers: [{ name: 'edge', interfaces }], names: {} })
  const join = async (guest: GuestCard): Promise<void> => {
    await api.plug(guest.plug)
    await guest.lease('guest')
    guest.answerArp()
  }
  const say = async (from: GuestCard, to: GuestCard, text: string): Promise<void> => {
    const near = from.plug.network === to.plug.network
    const ends = { from: from.address, to: to.address, fromMac: from.plug.mac, toMac: near ? to.plug.mac : gatewayMac(from.plug.network) }
    from.send(udpFrame(ends, 5000, 6000, text))
    await until(() => to.got.some((frame) => frame.includes(text)))
  }
  const kept = async (target: { network: string } | { port: string }): Promise<Buffer> => {
    const file = path.join(await tempFolder(), 'all.pcapng')
    await api.capture({ target, path: file, last: 3_600_000, duration: null })
    return readFile(file)
  }
  return { api, join, say, kept }
}

test('nothing of a private machine is kept behind a router, at whom it talks to neither', async () => {
  const { join, say, kept } = await withRouter()
  const [open, hidden, peer] = [new GuestCard(1, 'lab'), new GuestCard(2, 'lab', { private: true }), new GuestCard(3, 'two')]
  for (const guest of [open, hidden, peer]) await join(guest)
  await say(hidden, peer, 'secret question')
  await say(peer, hidden, 'secret answer')
  await say(hidden, open, 'secret neighbour')
  await say(open, peer, 'open question')
  for (const target of [{ network: 'lab' }, { network: 'two' }, { port: peer.plug.port }, { port: open.plug.port }]) {
    const bytes = await kept(target)
    expect(bytes.includes('open question')).toBe(true)
    expect(bytes.includes('secret')).toBe(false)
  }
})

test('nothing of a private machine is kept that was moved to another network, whatever happens in the one that it left', async () => {
  const { api, join, say, kept } = await withRouter()
  const [open, peer] = [new GuestCard(1, 'lab'), new GuestCard(3, 'two')]
  for (const guest of [new GuestCard(2, 'two', { private: true }), open, peer]) await join(guest)
  const hidden = new GuestCard(2, 'lab', { private: true })
  await join(hidden)
  await api.plug(new GuestCard(4, 'two').plug)
  await say(hidden, peer, 'secret question')
  await say(peer, hidden, 'secret answer')
  await say(open, peer, 'open question')
  for (const target of [{ network: 'lab' }, { network: 'two' }]) {
    const bytes = await kept(target)
    expect(bytes.includes('open question')).toBe(true)
    expect(bytes.includes('secret')).toBe(false)
  }
})

test('nothing of a private machine is kept whose address was leased to one that is gone', async () => {
  const { api, join, say, kept } = await withRouter()
  const [open, peer, gone] = [new GuestCard(1, 'lab'), new GuestCard(3, 'two'), new GuestCard(4, 'lab')]
  for (const guest of [open, peer, gone]) await join(guest)
  await api.unplug({ port: gone.plug.port })
  const hidden = new GuestCard(2, 'lab', { private: true })
  await api.plug(hidden.plug)
  hidden.address = gone.address
  hidden.answerArp()
  await say(hidden, peer, 'secret question')
  await say(open, peer, 'open question')
  const bytes = await kept({ network: 'two' })
  expect(bytes.includes('open question')).toBe(true)
  expect(bytes.includes('secret')).toBe(false)
})

test('a network of another kind or subnet has another gateway, and its machines ask anew', async () => {
  const { api, guest } = await withGuest()
  await api.configure({ networks: [lab({ ipv4: '10.9.0.0/24' })], routers: [], names: {} })
  await guest.lease('guest-1')
  expect(guest.address).toMatch(/^10\.9\.0\./)
  await guest.ping('10.9.0.1', gatewayMac('lab'))
  await api.configure({ networks: [networkOf('lab')], routers: [], names: {} })
  expect(await stateOf(api)).toMatchObject({ gateway: null, forwards: {}, problem: null })
  expect(await api.leases({ network: 'lab' })).toEqual([])
})

test('a scan raises an alert, its packets are kept, and the port is cut where that is wished', async () => {
  const { api, guest, gateway } = await withGuest({ watch: { cut: ['port-scan'] } })
  const alerts: NetworkAlert[] = []
  api.alert((alert) => alerts.push(alert))
  // The thread knows by now that somebody listens.
  await api.state({})
  for (let port = 1; port <= 200; port++)
    guest.send(
      tcpFrame(
        { from: guest.address, to: GATEWAY, fromMac: guest.plug.mac, toMac: gateway },
        { sourcePort: 50_000, destinationPort: port, flags: TCP.syn },
      ),
    )
  await until(() => alerts.length > 0)
  expect(alerts[0]).toMatchObject({ watch: 'port-scan', port: guest.plug.port, network: 'lab', cut: true })
  await until(async () => (await api.state({})).ports[0]!.connected === false)
  const file = path.join(await tempFolder(), 'alert.pcapng')
  const { frames } = await api.capture({ target: { port: `alert/${alerts[0]!.id}` }, path: file, last: 3_600_000, duration: null })
  expect(frames).toBeGreaterThan(5)
  expect((await readFile(file)).readUInt32BE(0)).toBe(0x0a0d0d0a)
})

test('what the policy logs is told', async () => {
  const { api, guest, gateway } = await withGuest()
  const logged: string[] = []
  api.logged(({ message }) => logged.push(message))
  await api.configure({
    networks: [lab({ policy: { rules: [{ from: '*', to: 'gateway', protocol: 'icmp', action: 'log' }] } })],
    routers: [],
    names: {},
  })
  await guest.ping(GATEWAY, gateway)
  await until(() => logged.length > 0)
  expect(logged[0]).toContain(`ICMP ${guest.address} → ${GATEWAY}`)
})
