/** Ports of the host that lead to a machine, over real sockets. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { buildUdp, parseUdp } from '../../../../src-main/network/codec/udp.ts'
import { parseIp, PROTOCOL, writeIp } from '../../../../src-main/network/codec/ip.ts'
import type { ResolvedForward } from '../../../../src-main/network/nat/nat.ts'
import type { UserNat } from '../../../../src-main/network/nat/user-nat.ts'
import type { GuestTcp } from '../../../support/guest-tcp.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { GATEWAY, GATEWAY6, GUEST, GUEST6, natNetwork, withNatNetworks } from '../../../support/nat-network.ts'

withLeakCheck()
withNatNetworks()
const closing: (() => void)[] = []
afterEach(() => closing.splice(0).forEach((close) => close()))

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function forward(id: string, hostPort: number, more: Partial<ResolvedForward> = {}): ResolvedForward {
  return { id, protocol: 'tcp', hostAddress: '127.0.0.1', hostPort, guest: GUEST, guestPort: 80, ...more }
}

async function listening(nat: UserNat, ...ids: string[]): Promise<void> {
  await expect.poll(() => ids.map((id) => nat.forwards[id])).toEqual(ids.map(() => null))
}

function dial(port: number, host = '127.0.0.1'): Socket {
  const socket = connect({ port, host, allowHalfOpen: true })
  socket.on('error', () => {})
  closing.push(() => socket.destroy())
  return socket
}

/** A machine's service that says who it is, once it was asked. */
function answering(name: string): (connection: GuestTcp) => void {
  return (connection) => {
    connection.onData = (bytes) => {
      connection.sendBytes(Buffer.from(`${name} heard ${Buffer.from(bytes).toString()}`))
      connection.end()
    }
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

async function ask(port: number, host?: string): Promise<string> {
  const socket = dial(port, host)
  socket.end('hello')
  let text = ''
  socket.on('data', (bytes) => (text += bytes.toString()))
  await once(socket, 'close')
  return text
}

describe('TCP forwards', () => {
  it.each([
    ['IPv4', '127.0.0.1', GUEST, GATEWAY],
    ['IPv6', '::1', GUEST6, GATEWAY6],
    ['IPv6 to IPv4', '::1', GUEST, GATEWAY],
  ])('lead to the machine over %s', async (_name: string, hostAddress, address: Uint8Array, gateway: Uint8Array) => {
    const { nat, guest } = natNetwork()
    const port = await freePort()
    nat.setForwards([forward('a', port, { hostAddress, guest: address })])
    await listening(nat, 'a')
    let from: Uint8Array | null = null
    guest.onConnection = (connection) => {
      from = connection.remote
      answering('it')(connection)
    }
    expect(await ask(port, hostAddress)).toBe('it heard hello')
    expect(from).toEqual(gateway)
    await expect.poll(() => nat.flows.tcp).toBe(0)
  })

  it('one is changed and the other goes on with its connections', async () => {
    const { nat, guest } = natNetwork()
    const [one, two] = [await freePort(), await freePort()]
    nat.setForwards([forward('a', one), forward('b', two, { guestPort: 81 })])
    await listening(nat, 'a', 'b')
    guest.onConnection = (connection) => (connection.onData = (bytes) => connection.sendBytes(bytes.slice()))
    const [first, second] = [dial(one), dial(two)]
    let [a, b] = ['', '']
    first.on('data', (bytes) => (a += bytes.toString()))
    second.on('data', (bytes) => (b += bytes.toString()))
    first.write('1')
    second.write('2')
    await expect.poll(() => [a, b]).toEqual(['1', '2'])
    // Another port for the first, which takes none of the second's.
    const three = await freePort()
    const gone = closed(first)
    nat.setForwards([forward('a', three), forward('b', two, { guestPort: 81 })])
    await listening(nat, 'a', 'b')
    await gone
    second.write('3')
    await expect.poll(() => b).toBe('23')
    const third = dial(three)
    third.write('4')
    expect(String((await once(third, 'data'))[0])).toBe('4')
    const both = Promise.all([closed(second), closed(third)])
    nat.setForwards([])
    await both
    expect(nat.forwards).toEqual({})
    await expect(once(connect(two, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('a port in use is explained, and tried again', async () => {
    const { nat } = natNetwork()
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const told: unknown[] = []
    nat.onForwards((states) => told.push(states['a']))
    nat.setForwards([forward('a', port), forward('b', await freePort(), { hostAddress: '203.0.113.77' })])
    await expect.poll(() => Object.keys(nat.forwards)).toHaveLength(2)
    expect(nat.forwards['a']).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`TCP port ${port} of 127.0.0.1 is used by another program.`) as string,
    })
    expect(nat.forwards['b']).toMatchObject({
      message: expect.stringContaining('No network card of this computer has the address 203.0.113.77.') as string,
    })
    expect(told.at(-1)).toMatchObject({ code: 'unavailable' })
    server.close()
    await once(server, 'close')
    nat.setForwards([forward('a', port)])
    await listening(nat, 'a')
  })

  it('a connection waits for a machine that has no address yet', async () => {
    const { nat, guest } = natNetwork()
    const port = await freePort()
    nat.setForwards([forward('a', port, { guest: null })])
    await listening(nat, 'a')
    guest.onConnection = answering('at last it')
    const answer = ask(port)
    await new Promise((resolve) => setTimeout(resolve, 100))
    nat.setForwards([forward('a', port)])
    expect(await answer).toBe('at last it heard hello')
  })

  it('a machine that refuses resets', async () => {
    const { nat } = natNetwork()
    const port = await freePort()
    nat.setForwards([forward('a', port)])
    await listening(nat, 'a')
    const socket = connect(port, '127.0.0.1')
    expect(await new Promise((resolve) => socket.once('error', resolve))).toMatchObject({ code: 'ECONNRESET' })
    await expect.poll(() => nat.flows.tcp).toBe(0)
  })
})

describe('UDP forwards', () => {
  it('lead to the machine, and back to each who asked', async () => {
    const { nat, guest, wire } = natNetwork()
    const port = await freePort()
    nat.setForwards([forward('u', port, { protocol: 'udp', guestPort: 7 })])
    await listening(nat, 'u')
    guest.onOther = (packet) => {
      const ip = parseIp(packet)!
      const { sourcePort, destinationPort, payload } = parseUdp(ip)!
      expect(destinationPort).toBe(7)
      const answer = buildUdp(GUEST, GATEWAY, {
        sourcePort: 7,
        destinationPort: sourcePort,
        payload: Buffer.concat([Buffer.from('echo '), payload]),
      })
      const back = new Uint8Array(20 + answer.length)
      back.set(answer, 20)
      writeIp(back, 0, { source: GUEST, destination: GATEWAY, protocol: PROTOCOL.udp }, answer.length)
      wire.put(back)
    }
    const answers = await Promise.all(
      ['one', 'two', 'three'].map(async (text) => {
        const client = createSocket('udp4')
        closing.push(() => client.close())
        client.send(text, port, '127.0.0.1')
        return String((await once(client, 'message'))[0])
      }),
    )
    expect(answers).toEqual(['echo one', 'echo two', 'echo three'])
    // Nobody asked from there.
    expect(nat.flows.udp).toBe(0)
  })

  it('clients of one port number, of two forwards to one port of the machine, get their own answers', async () => {
    const { nat, guest, wire } = natNetwork()
    const [one, two] = [await freePort(), await freePort()]
    nat.setForwards([forward('u', one, { protocol: 'udp', guestPort: 7 }), forward('v', two, { protocol: 'udp', guestPort: 7 })])
    await listening(nat, 'u', 'v')
    const asked: { port: number; text: string }[] = []
    guest.onOther = (packet) => {
      const { sourcePort, payload } = parseUdp(parseIp(packet)!)!
      asked.push({ port: sourcePort, text: Buffer.from(payload).toString() })
    }
    const client = async (address: string, port: number, text: string, to: number): Promise<() => string[]> => {
      const socket = createSocket('udp4')
      closing.push(() => socket.close())
      const got: string[] = []
      socket.on('message', (bytes, from) => got.push(`${from.port === to ? '' : 'stranger: '}${bytes.toString()}`))
      socket.bind(port, address)
      await once(socket, 'listening')
      socket.send(text, to, '127.0.0.1')
      return () => got
    }
    const port = await freePort()
    const first = await client('127.0.0.1', port, 'first', one)
    const second = await client('127.0.0.2', port, 'second', two)
    const third = await client('127.0.0.3', port, 'third', one)
    await expect.poll(() => asked.length).toBe(3)
    expect(new Set(asked.map((one) => one.port)).size).toBe(3)
    for (const { port: to, text } of asked.reverse()) {
      const answer = buildUdp(GUEST, GATEWAY, { sourcePort: 7, destinationPort: to, payload: Buffer.from(`to ${text}`) })
      const back = new Uint8Array(20 + answer.length)
      back.set(answer, 20)
      writeIp(back, 0, { source: GUEST, destination: GATEWAY, protocol: PROTOCOL.udp }, answer.length)
      wire.put(back)
    }
    await expect.poll(() => [first(), second(), third()]).toEqual([['to first'], ['to second'], ['to third']])
  })

  it('a port in use is explained', async () => {
    const { nat } = natNetwork()
    const taken = createSocket('udp4')
    closing.push(() => taken.close())
    taken.bind(0, '127.0.0.1')
    await once(taken, 'listening')
    nat.setForwards([forward('u', taken.address().port, { protocol: 'udp' })])
    await expect.poll(() => nat.forwards['u']?.message).toContain('is used by another program')
  })
})
