/** Connections of a machine to servers on the host's loopback, over real sockets. */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import { parseIp } from '../../../../src-shared/model/ip.ts'
import type { ByteSource, GuestTcp } from '../../../support/guest-tcp.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { GATEWAY, GATEWAY6, natNetwork, OPTIONS, serve, withNatNetworks, type NatNetwork } from '../../../support/nat-network.ts'
import { noise, seeded } from '../../../support/seeded.ts'

withLeakCheck()
withNatNetworks()

/** Bytes that repeat after a length which divides nothing. */
const NOISE = noise(seeded(7), 1_000_003)
const DOUBLED = Buffer.concat([NOISE, NOISE.subarray(0, 70_000)])
const source: ByteSource = (offset, length) => {
  const at = offset % NOISE.length
  return DOUBLED.subarray(at, at + length)
}

function sourceHash(total: number): string {
  const hash = createHash('sha256')
  for (let at = 0; at < total; at += 65_536) hash.update(source(at, Math.min(65_536, total - at)))
  return hash.digest('hex')
}

function write(socket: Socket, total: number): void {
  let at = 0
  const push = (): void => {
    while (at < total) {
      const chunk = source(at, Math.min(65_536, total - at))
      at += chunk.length
      if (!socket.write(chunk)) return
    }
    socket.end()
  }
  socket.on('drain', push)
  push()
}

async function settled({ nat }: NatNetwork): Promise<void> {
  await expect.poll(() => nat.flows.tcp, { timeout: 10_000 }).toBe(0)
}

/** Sends so much to a server that hashes it, or has it sent; both ends find the same. */
async function sendAndCompare(network: NatNetwork, gateway: IpAddress, host: string, total: number): Promise<void> {
  let hashed = ''
  const port = await serve((socket) => {
    const hash = createHash('sha256')
    socket.on('data', (bytes) => hash.update(bytes))
    socket.on('end', () => {
      hashed = hash.digest('hex')
      socket.end()
    })
  }, host)
  const connection = network.guest.connect(gateway, port)
  connection.send(source, total)
  connection.end()
  expect(await connection.over).toBe('closed')
  expect(hashed).toBe(sourceHash(total))
}

async function fetchAndCompare(network: NatNetwork, gateway: IpAddress, host: string, total: number): Promise<void> {
  const port = await serve((socket) => {
    socket.resume()
    write(socket, total)
  }, host)
  const connection = network.guest.connect(gateway, port)
  const hash = createHash('sha256')
  connection.onData = (bytes) => {
    hash.update(bytes)
    connection.window = 1 << 20
  }
  connection.onEnd = () => connection.end()
  expect(await connection.over).toBe('closed')
  expect(connection.received).toBe(total)
  expect(hash.digest('hex')).toBe(sourceHash(total))
}

describe('TCP through the NAT', () => {
  it.each([
    ['IPv4', GATEWAY, '127.0.0.1'],
    ['IPv6', GATEWAY6, '::1'],
  ])('a question and its answer over %s', async (_name: string, gateway: IpAddress, host) => {
    const network = natNetwork()
    const port = await serve((socket) => socket.on('data', (bytes) => socket.end(`you said ${bytes.toString()}`)), host)
    const connection = network.guest.connect(gateway, port)
    await connection.opened
    let text = ''
    connection.onData = (bytes) => (text += Buffer.from(bytes).toString())
    connection.onEnd = () => connection.end()
    connection.sendBytes(Buffer.from('hello'))
    expect(await connection.over).toBe('closed')
    expect(text).toBe('you said hello')
    await settled(network)
  })

  it.each([
    ['IPv4', 1500, GATEWAY, '127.0.0.1'],
    ['IPv6', 65_520, GATEWAY6, '::1'],
  ])('100 MB each way over %s with an MTU of %i', async (_name: string, mtu, gateway: IpAddress, host) => {
    const network = natNetwork(mtu)
    await sendAndCompare(network, gateway, host, 100_000_000)
    await fetchAndCompare(network, gateway, host, 100_000_000)
    await settled(network)
  })

  it.each([1, 2, 3])('over a wire that loses, doubles and delays, seed %i', async (seed) => {
    const network = natNetwork()
    network.wire.faults = { loss: 1, duplicate: 1, late: 2, random: seeded(seed) }
    await Promise.all([
      sendAndCompare(network, GATEWAY, '127.0.0.1', 2_000_000),
      fetchAndCompare(network, GATEWAY6, '::1', 2_000_000),
      fetchAndCompare(network, GATEWAY, '127.0.0.1', 2_000_000),
    ])
    network.wire.faults = null
    await settled(network)
  })

  it('500 connections at once', async () => {
    const network = natNetwork()
    const port = await serve((socket) => socket.pipe(socket))
    const connections = Array.from({ length: 500 }, (_, at) => {
      const connection = network.guest.connect(GATEWAY, port)
      const text = `number ${at} `.repeat(200)
      let got = ''
      connection.onData = (bytes) => (got += Buffer.from(bytes).toString())
      connection.onEnd = () => expect(got).toBe(text)
      connection.sendBytes(Buffer.from(text))
      connection.end()
      return connection
    })
    await Promise.all(connections.map(({ opened }) => opened))
    expect(await Promise.all(connections.map(({ over }) => over))).toEqual(new Array(500).fill('closed'))
    await settled(network)
  })

  it('a machine that reads slowly holds its server back', async () => {
    const network = natNetwork()
    const total = 20_000_000
    let socket!: Socket
    const port = await serve((one) => {
      socket = one
      write(one, total)
    })
    const connection = network.guest.connect(GATEWAY, port)
    connection.window = 1600 << 6
    await connection.opened
    // What is written stays below what buffers hold: ours, and those of the system's sockets.
    await expect.poll(() => connection.received).toBeGreaterThan(100_000)
    let before = -1
    await expect.poll(() => before === (before = socket.bytesWritten - socket.writableLength), { interval: 200 }).toBe(true)
    expect(connection.received).toBeLessThanOrEqual(1600 << 6)
    expect(before).toBeLessThan(total / 2)
    connection.onData = () => (connection.window = 1 << 20)
    connection.onEnd = () => connection.end()
    connection.window = 1 << 20
    connection.update()
    expect(await connection.over).toBe('closed')
    expect(connection.received).toBe(total)
    await settled(network)
  })

  it('a server that reads slowly holds its machine back', async () => {
    const network = natNetwork()
    const total = 30_000_000
    let socket!: Socket
    const port = await serve((one) => {
      socket = one
      one.pause()
    })
    const connection = network.guest.connect(GATEWAY, port)
    connection.send(source, total)
    connection.end()
    await connection.opened
    let before = -1
    await expect.poll(() => before === (before = connection.acked), { interval: 200 }).toBe(true)
    expect(before).toBeGreaterThan(100_000)
    expect(before).toBeLessThan(total)
    const hash = createHash('sha256')
    socket.on('data', (bytes) => hash.update(bytes))
    socket.on('end', () => socket.end())
    socket.resume()
    expect(await connection.over).toBe('closed')
    expect(hash.digest('hex')).toBe(sourceHash(total))
    await settled(network)
  })

  it('either side ends first, and the other goes on', async () => {
    const network = natNetwork()
    const port = await serve((socket) => {
      let text = ''
      socket.on('data', (bytes) => (text += bytes.toString()))
      socket.on('end', () => socket.end(`you said ${text}`))
      socket.write('first ')
    })
    const machine = network.guest.connect(GATEWAY, port)
    let got = ''
    machine.onData = (bytes) => (got += Buffer.from(bytes).toString())
    machine.sendBytes(Buffer.from('all I have'))
    machine.end()
    expect(await machine.over).toBe('closed')
    expect(got).toBe('first you said all I have')

    let said = ''
    const ending = await serve((socket) => {
      socket.on('data', (bytes) => (said += bytes.toString()))
      socket.end('done')
    })
    const longer: GuestTcp = network.guest.connect(GATEWAY, ending)
    longer.onEnd = () => {
      longer.sendBytes(Buffer.from('not me'))
      longer.end()
    }
    expect(await longer.over).toBe('closed')
    await expect.poll(() => said).toBe('not me')
    await settled(network)
  })

  it('resets pass both ways', async () => {
    const network = natNetwork()
    const rude = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()))
    const first = network.guest.connect(GATEWAY, rude)
    first.sendBytes(Buffer.from('hello'))
    expect(await first.over).toBe('reset')
    const errors: string[] = []
    const port = await serve((socket) => socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code!)).resume())
    const second = network.guest.connect(GATEWAY, port)
    await second.opened
    second.sendBytes(Buffer.from('hello'))
    await expect.poll(() => second.acked).toBe(5)
    second.reset()
    await expect.poll(() => errors).toEqual(['ECONNRESET'])
    await settled(network)
  })

  it('a closed port refuses', async () => {
    const network = natNetwork()
    const port = await serve(() => {})
    const connection = network.guest.connect(GATEWAY, port === 1 ? 2 : 1)
    await expect(connection.opened).rejects.toThrow('refused')
    await settled(network)
  })

  it('what is denied is refused: the gateway without host access, and the host’s loopback always', async () => {
    const network = natNetwork(1500, { hostAccess: false })
    let accepted = 0
    const port = await serve(() => accepted++)
    await expect(network.guest.connect(GATEWAY, port).opened).rejects.toThrow('refused')
    const refusals: unknown[] = []
    network.wire.onRefusal = (packet, why) => refusals.push([packet.destination.join('.'), why])
    for (const address of ['127.0.0.1', '0.0.0.0', '169.254.169.254', '10.0.2.77']) network.guest.connect(parseIp(address)!, port)
    await expect
      .poll(() => refusals)
      .toEqual(expect.arrayContaining(['127.0.0.1', '0.0.0.0', '169.254.169.254', '10.0.2.77'].map((address) => [address, 'prohibited'])))
    expect(accepted).toBe(0)
    expect(network.nat.flows.tcp).toBe(0)
  })

  it('new options end what they forbid, and nothing else', async () => {
    const network = natNetwork()
    const port = await serve((socket) => socket.on('error', () => {}).resume())
    const service = network.nat.listenTcp(53, (stream) => (stream.receive = (bytes) => bytes && stream.write(bytes)))
    const host = network.guest.connect(GATEWAY, port)
    const local = network.guest.connect(GATEWAY, 53)
    await Promise.all([host.opened, local.opened])
    network.nat.update({ ...OPTIONS, hostAccess: false })
    expect(await host.over).toBe('reset')
    let echoed = ''
    local.onData = (bytes) => (echoed += Buffer.from(bytes).toString())
    local.sendBytes(Buffer.from('still'))
    await expect.poll(() => echoed).toBe('still')
    network.nat.closeFlows(network.guest.ipv4)
    expect(await local.over).toBe('reset')
    service.dispose()
    await settled(network)
  })

  it('a service of the gateway answers, and ends', async () => {
    const network = natNetwork()
    const closed: string[] = []
    network.nat.listenTcp(53, (stream) => {
      const parts: Buffer[] = []
      stream.receive = (bytes) => {
        if (bytes) return void parts.push(Buffer.from(bytes))
        stream.write(Buffer.concat([Buffer.from(`${stream.source.join('.')} asks `), ...parts]))
        stream.end()
      }
      stream.closed = () => closed.push('closed')
    })
    const connection = network.guest.connect(GATEWAY, 53)
    let got = ''
    connection.onData = (bytes) => (got += Buffer.from(bytes).toString())
    connection.sendBytes(Buffer.from('who?'))
    connection.end()
    expect(await connection.over).toBe('closed')
    expect(got).toBe('10.0.2.15 asks who?')
    expect(closed).toEqual(['closed'])
    await settled(network)
  })

  it('all end when the NAT does', async () => {
    const network = natNetwork()
    const errors: string[] = []
    let sockets = 0
    const port = await serve((socket) => {
      sockets++
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code!)).resume()
    })
    const connections = Array.from({ length: 20 }, () => network.guest.connect(GATEWAY, port))
    await Promise.all(connections.map(({ opened }) => opened))
    await expect.poll(() => sockets).toBe(20)
    network.nat.dispose()
    expect(await Promise.all(connections.map(({ over }) => over))).toEqual(new Array(20).fill('reset'))
    await expect.poll(() => errors.length).toBe(20)
    expect(network.nat.flows).toEqual({ tcp: 0, udp: 0 })
  })
})
