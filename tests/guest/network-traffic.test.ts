/**
 * Real guests of both engines under traffic that NATs get wrong: hundreds of connections at once, ends that come one side at a time, readers that are slow, servers that
 * reset, worse links, and a network thread that dies in the middle. What passed is read by Wireshark's reader, which finds no fault.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MiB } from '../../src-shared/base/units.ts'
import { NO_IMPAIRMENT } from '../../src-shared/model/network.ts'
import { cacheFolder, resourcesFolder } from '../../src-main/app/paths.ts'
import { testHost, type TestHost } from '../integration/machines/support/test-host.ts'
import { output, without } from '../support/programs.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { noise, seeded } from '../support/seeded.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'
import { execIn, leased, networksOf, startNetworked, type Networked } from './support/networked.ts'

/** ms for a test: a boot on a computer that may be busy, and what is done then. */
const LIMIT = 600_000
/** Connections at once. */
const MANY = 500
/** Background jobs of the guest must not hold the agent's pipes. */
const APART = '> /dev/null 2>&1 < /dev/null &'

// The embedded card moves a few MB/s.
const ENGINES = [
  { engine: 'embedded', there: true, memoryMiB: 256, megabytes: 3 },
  { engine: 'qemu', there: QEMU_PROGRAM !== null, memoryMiB: 512, megabytes: 12 },
] as const

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex')

/** A server of this computer. @returns its port */
async function serving(accept: (socket: Socket) => void, address = '127.0.0.1'): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => accept(socket.on('error', () => {})))
  server.listen(0, address, 1024)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

interface Lab {
  host: TestHost
  guest: Networked
  ipv4: string
  ipv6: string
  /** A port of this computer that leads to one of the guest's. */
  forward(guestPort: number): Promise<number>
}

async function labWith(engine: 'embedded' | 'qemu', memoryMiB: number): Promise<Lab> {
  const mortal = new URL('../integration/networks/support/mortal-network.thread.ts', import.meta.url)
  const host = await testHost({ doubles: { network: mortal }, cacheFolder: cacheFolder(), resources: resourcesFolder() })
  const networks = networksOf(host)
  await networks.create({ name: 'lab' })
  await networks.update({ name: 'lab', patch: { hostAccess: true, captureBytes: 64 * MiB } })
  const guest = await startNetworked(host, { name: 'web-1', engine, networks: ['lab'], memoryMiB })
  await leased(guest, 'lab')
  const { ipv4, ipv6 } = (await networks.get({ name: 'lab' })).gateway!
  await guest.sh(`until ping -c 1 -W 1 ${ipv4} && ping -c 1 -W 1 ${ipv6}; do sleep 1; done`)
  const forward = async (guestPort: number): Promise<number> => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port: hostPort } = taken.address() as AddressInfo
    await new Promise((resolve) => taken.close(resolve))
    const { network } = await networks.addForward({ name: 'lab', forward: { protocol: 'tcp', hostPort, guest: guest.id, guestPort } })
    const { id } = network.forwards.find((one) => one.hostPort === hostPort)!
    await until(async () => (await networks.get({ name: 'lab' })).forwards[id]!.state === 'listening')
    return hostPort
  }
  return { host, guest, ipv4: ipv4!, ipv6: ipv6!, forward }
}

/** A connection to a forward; all that it says, once it ends. */
function asked(port: number, question: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    onTestFinished(() => void socket.destroy())
    let answer = ''
    socket.setEncoding('latin1').on('data', (text) => (answer += String(text)))
    socket.on('error', reject).on('end', () => resolve(answer))
    socket.end(question)
  })
}

async function sixHasAddress({ guest }: Lab): Promise<void> {
  // By its network's advertisement, not only of the link.
  await until(async () => /inet6 fd[0-9a-f:]+\/64 scope global/.test(await guest.sh('ip -6 addr show eth0')))
}

/** Both ways, by IPv6; the other family is in networks.test.ts. */
async function movesBySix({ guest, ipv6 }: Lab, bytes: Buffer): Promise<void> {
  const hash = createHash('md5')
  const down = await serving((socket) => void socket.end(bytes), '::1')
  const up = await serving(
    (socket) => void socket.on('data', (part) => hash.update(part)).on('end', () => socket.end(hash.digest('hex'))),
    '::1',
  )
  expect(await guest.sh(`nc ${ipv6} ${down} < /dev/null | tee /tmp/data | md5sum`)).toContain(md5(bytes))
  expect(await guest.sh(`nc ${ipv6} ${up} < /tmp/data`)).toBe(md5(bytes))
}

/** The host says all, and that it has no more to say; the guest answers then. */
async function halfCloses(forwarded: number, bytes: Buffer): Promise<void> {
  expect(await asked(forwarded, bytes)).toContain(md5(bytes))
}

async function slowReaders({ guest, ipv4 }: Lab, bytes: Buffer): Promise<void> {
  // This computer's: it takes 64 KiB, and a rest.
  const hash = createHash('md5')
  let pauses = 0
  const slow = await serving((socket) => {
    let due = 0
    socket.on('data', (part) => {
      hash.update(part)
      due += part.length
      if (due < bytes.length / 16) return
      due = 0
      pauses++
      socket.pause()
      setTimeout(() => socket.resume(), 50)
    })
    socket.on('end', () => socket.end(hash.digest('hex')))
  })
  expect(await guest.sh(`nc ${ipv4} ${slow} < /tmp/data`)).toBe(md5(bytes))
  expect(pauses).toBeGreaterThan(5)
  // The guest's: what it does not take waits at the server, while another connection is served.
  let written = 0
  const pouring = await serving((socket) => {
    const more = (): void => {
      while (written < bytes.length) {
        const part = bytes.subarray(written, written + 65_536)
        written += part.length
        if (!socket.write(part)) return
      }
      socket.end()
    }
    socket.on('drain', more)
    more()
  })
  const other = await serving((socket) => void socket.end('quick'))
  await guest.sh(
    `mkfifo /tmp/gate; (nc ${ipv4} ${pouring} < /dev/null | (read go < /tmp/gate; md5sum > /tmp/slow.sum; echo > /tmp/slow.done)) ${APART}`,
  )
  await until(() => written > 0)
  expect(await guest.sh(`nc ${ipv4} ${other} < /dev/null`)).toBe('quick')
  await guest.sh('echo go > /tmp/gate; until [ -e /tmp/slow.done ]; do sleep 1; done')
  expect(await guest.sh('cat /tmp/slow.sum')).toContain(md5(bytes))
}

async function serverResets({ host, guest, ipv4 }: Lab): Promise<void> {
  const port = await serving((socket) => {
    socket.write('some')
    socket.once('data', () => void socket.resetAndDestroy())
  })
  // It has no end of its own: what it reads from says nothing for a long time.
  const { out } = await execIn(host, guest.id, `(echo x; sleep 1000) | (nc ${ipv4} ${port}; echo " ended"; killall sleep)`)
  expect(out).toContain('some')
  expect(out).toContain('ended')
  // Nobody listens: refused at once, no time-out.
  expect((await execIn(host, guest.id, `nc -w 60 ${ipv4} 1 < /dev/null`)).err).toMatch(/refused/)
}

async function manyAtOnce({ guest, ipv4 }: Lab): Promise<void> {
  const open = new Set<Socket>()
  const port = await serving((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    // Nobody is answered before all are there.
    if (open.size === MANY) for (const one of open) one.end('held\n')
  })
  // Their input is a pipe that says nothing, and has no end.
  await guest.sh(
    `mkfifo /tmp/silence; exec 3<> /tmp/silence; i=0; while [ $i -lt ${MANY} ]; do nc ${ipv4} ${port} <&3 >> /tmp/many 2>&1 & i=$((i + 1)); done; wait`,
  )
  expect(await guest.sh('sort /tmp/many | uniq -c')).toMatch(new RegExp(`^ *${MANY} held\n$`))
}

/** ms, of many. */
async function quickestPing({ guest, ipv4 }: Lab): Promise<number> {
  return Number(/min\/avg\/max = ([\d.]+)\//.exec(await guest.sh(`ping -q -c 20 -i 0.1 ${ipv4}`))![1])
}

async function worseLinks(lab: Lab): Promise<void> {
  const { host, guest, ipv4 } = lab
  const impair = (impairment: Partial<typeof NO_IMPAIRMENT> | null) =>
    networksOf(host).impair({ target: { machine: guest.id, nic: 'nic0' }, impairment: impairment && { ...NO_IMPAIRMENT, ...impairment } })
  const before = await quickestPing(lab)
  await impair({ delay: 50 })
  const delayed = await quickestPing(lab)
  expect(delayed).toBeGreaterThanOrEqual(100)
  expect(delayed - before).toBeLessThan(100 * 1.03 + 2)
  await impair({ loss: 20, seed: 7 })
  const [, received] = /(\d+) packets received/.exec((await execIn(host, guest.id, `ping -q -c 400 -i 0.01 -W 1 ${ipv4}`)).out)!
  // Each way loses a fifth: 64 of 100 come back; four standard deviations.
  expect(Math.abs(Number(received) - 400 * 0.64)).toBeLessThan(4 * Math.sqrt(400 * 0.64 * 0.36))
  await impair(null)
}

/** The thread ends in the middle of a transfer: machines run, flows end on both sides, and what comes after works. */
async function threadDies({ host, guest, ipv4 }: Lab): Promise<void> {
  const networks = networksOf(host)
  const ended: string[] = []
  let came = 0
  const sink = await serving((socket) => {
    socket.on('data', (part) => (came += part.length)).on('close', () => ended.push('closed'))
    socket.on('end', () => socket.end())
  })
  await guest.sh(`(nc ${ipv4} ${sink} < /dev/zero; echo > /tmp/over) ${APART}`)
  await until(() => came > 200_000)
  const nic = { machine: guest.id, nic: 'nic0' }
  await networks.impair({ target: nic, impairment: { ...NO_IMPAIRMENT, seed: 13, duplicate: 1e-9 } })
  await networks.cut({ ...nic, cut: true }).catch(() => {})
  await until(() => ended.length === 1)
  await networks.impair({ target: nic, impairment: null })
  await networks.cut({ ...nic, cut: false })
  await until(async () => (await networks.get({ name: 'lab' })).nics.some((one) => one.machine === guest.id && one.connected))
  expect((await host.machines.get({ id: guest.id })).state).toBe('running')
  // The guest's end hears of it from the thread that came after.
  await guest.sh('until [ -e /tmp/over ]; do sleep 1; done')
  const small = await serving((socket) => void socket.end('again'))
  expect(await guest.sh(`nc ${ipv4} ${small} < /dev/null`)).toBe('again')
}

/**
 * What TCP carries here is noise, and on some ports it is taken for a protocol's. A sum of 0 may be written as 0xffff (RFC 1624): guests do.
 */
const FAULTS =
  '(_ws.malformed and not tcp.len > 0) or ip.checksum.status == "Bad" or (tcp.checksum.status == "Bad" and tcp.checksum != 0xffff)'

/** @returns lines of tshark about packets that are broken */
async function faultsIn({ host }: Lab): Promise<string> {
  const file = path.join(await tempFolder(), 'lab.pcapng')
  await host.done(networksOf(host).capture({ target: { network: 'lab' }, path: file, last: 3_600_000 }))
  expect((await output('tshark', ['-r', file, '-c', '100'])).split('\n').length).toBeGreaterThan(100)
  return output('tshark', ['-r', file, '-Y', FAULTS, '-o', 'ip.check_checksum:TRUE', '-o', 'tcp.check_checksum:TRUE'])
}

describe.each(ENGINES)('a $engine machine', ({ engine, there, memoryMiB, megabytes }) => {
  test.skipIf(!there)('holds its connections, and loses none that it should not', { timeout: LIMIT }, async () => {
    const lab = await labWith(engine, memoryMiB)
    const bytes = Buffer.from(noise(seeded(5), megabytes * MiB))
    await lab.guest.sh(`nc -ll -p 7000 -e md5sum ${APART}`)
    const sum = await lab.forward(7000)
    await sixHasAddress(lab)
    await movesBySix(lab, bytes)
    await halfCloses(sum, bytes)
    await slowReaders(lab, bytes)
    await serverResets(lab)
    await manyAtOnce(lab)
    await worseLinks(lab)
    if (!without('tshark')) expect(await faultsIn(lab)).toBe('')
    await threadDies(lab)
    await halfCloses(sum, bytes)
  })
})
