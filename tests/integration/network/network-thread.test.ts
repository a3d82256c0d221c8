/** The network thread as the host has it, with cards of both engines: rings whose other ends are here, and a listener that speaks as QEMU does. */
import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { BROADCAST, writeEthernet } from '../../../src-main/network/codec/ethernet.ts'
import { FrameSplitter } from '../../../src-main/network/link/frame-splitter.ts'
import { NO_IMPAIRMENT } from '../../../src-shared/model/network.ts'
import { Counters } from '../../../src-shared/threads/counters.ts'
import type { PortState } from '../../../src-shared/threads/network-thread.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { until } from '../../support/until.ts'
import { networkOf, plugOf, RingCard, startNetworkThread, type NetworkApi } from '../support/network-thread.ts'

const configure = (api: NetworkApi, ...networks: ReturnType<typeof networkOf>[]) => api.configure({ networks, routers: [], names: {} })

async function portOf(api: NetworkApi, port: string): Promise<PortState | undefined> {
  return (await api.state({})).ports.find((state) => state.port === port)
}

test('cards of one network hear each other, those of another do not; both are counted', async () => {
  const { api } = startNetworkThread()
  await configure(api, networkOf('one'), networkOf('two'))
  const counters = new Counters()
  const [a, b, c] = [new RingCard(1, 'one', { counters: counters.buffer }), new RingCard(2, 'one'), new RingCard(3, 'two')]
  for (const { plug } of [a, b, c]) await api.plug(plug)
  a.sendTo(BROADCAST, Buffer.alloc(50, 1))
  await until(() => b.got.length === 1)
  b.sendTo(a.mac, Buffer.alloc(60, 2))
  await until(() => a.got.length === 1)
  expect(a.got[0]!.subarray(14)).toEqual(Buffer.alloc(60, 2))
  expect(c.got).toEqual([])
  expect(await portOf(api, a.plug.port)).toMatchObject({
    network: 'one',
    connected: true,
    framesOut: 1,
    bytesOut: 64,
    framesIn: 1,
    bytesIn: 74,
  })
  expect(counters.read()).toMatchObject({ netSentBytes: 64, netReceivedBytes: 74 })
  expect((await api.state({})).networks.map(({ network }) => network)).toEqual(['one', 'two'])
})

test('a card of QEMU’s and an embedded one on one network; its link is told of', async () => {
  const { api } = startNetworkThread()
  await configure(api, networkOf('one'))
  const socket = path.join(await tempFolder(), 'nic.sock')
  const changes: string[] = []
  api.stateChanged(({ network }) => changes.push(network))
  const [ring, qemu] = [new RingCard(1, 'one'), plugOf(2, 'one', { kind: 'unix', path: socket })]
  await api.plug(ring.plug)
  await api.plug(qemu)
  expect(await portOf(api, qemu.port)).toMatchObject({ connected: false })
  const got: Buffer[] = []
  let peer: Socket | null = null
  const server = createServer((client) => {
    peer = client
    const splitter = new FrameSplitter((frame) => got.push(Buffer.from(frame)))
    client.on('data', (chunk) => splitter.push(chunk))
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  onTestFinished(() => {
    peer?.destroy()
    server.close()
  })
  await until(async () => (await portOf(api, qemu.port))!.connected)
  expect(changes.length).toBeGreaterThanOrEqual(3)
  ring.sendTo(BROADCAST, Buffer.alloc(100))
  await until(() => got.length === 1)
  const frame = Buffer.alloc(4 + 64)
  frame.writeUInt32BE(64)
  writeEthernet(frame.subarray(4), ring.mac, 0x5254_0100_0002, 0x88b5)
  peer!.write(frame)
  await until(() => ring.got.length === 1)
  await api.unplug({ port: qemu.port })
  await until(() => peer!.destroyed)
  expect(await portOf(api, qemu.port)).toBeUndefined()
})

test('a card that is cut hears nothing until it is joined; impairments are set live', async () => {
  const { api } = startNetworkThread()
  await configure(api, networkOf('one'))
  const [a, b] = [new RingCard(1, 'one'), new RingCard(2, 'one', { cut: true })]
  await api.plug(a.plug)
  await api.plug(b.plug)
  a.sendTo(BROADCAST, Buffer.from([1]))
  await until(async () => (await portOf(api, a.plug.port))!.framesOut === 1)
  await api.setPort({ port: b.plug.port, cut: false, impairment: { ...NO_IMPAIRMENT, loss: 100 } })
  a.sendTo(BROADCAST, Buffer.from([2]))
  await until(async () => (await portOf(api, b.plug.port))!.lost === 1)
  await api.setPort({ port: b.plug.port, impairment: NO_IMPAIRMENT })
  a.sendTo(BROADCAST, Buffer.from([3]))
  await until(() => b.got.length === 1)
  expect(b.got[0]![14]).toBe(3)
  await expect(api.setPort({ port: 'nobody/net0', cut: true })).rejects.toMatchObject({ code: 'not-found' })
})

test('a thread that was killed under load: the next one joins the same cards, and frames pass again', async () => {
  let thread = startNetworkThread()
  const cards = Array.from({ length: 4 }, (_, at) => new RingCard(at + 1, 'one'))
  const join = async (api: NetworkApi): Promise<void> => {
    await configure(api, networkOf('one'))
    for (const { plug } of cards) await api.plug(plug)
  }
  await join(thread.api)
  let number = 0
  let running = true
  const load = (async () => {
    for (; running; await sleep(1)) for (const card of cards) card.sendTo(BROADCAST, Buffer.from(Uint32Array.of(++number).buffer))
  })()
  for (let round = 0; round < 4; round++) {
    const before = cards.map(({ got }) => got.length)
    await until(() => cards.every(({ got }, at) => got.length > before[at]! + 100))
    await thread.worker.terminate()
    thread = startNetworkThread()
    await join(thread.api)
  }
  running = false
  await load
  for (const { got } of cards) {
    const numbers = got.map((frame) => frame.readUInt32LE(14))
    // Each of the others' frames once at most, whole.
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(got.every((frame) => frame.length === 18)).toBe(true)
  }
})

test('a network that is gone takes its cards with it; a card that is plugged in elsewhere is there alone', async () => {
  const { api } = startNetworkThread()
  await configure(api, networkOf('one'), networkOf('two'))
  const [a, b, c] = [new RingCard(1, 'one'), new RingCard(2, 'one'), new RingCard(3, 'two')]
  for (const { plug } of [a, b, c]) await api.plug(plug)
  await api.plug({ ...b.plug, network: 'two' })
  a.sendTo(BROADCAST, Buffer.from([1]))
  b.sendTo(BROADCAST, Buffer.from([2]))
  await until(() => c.got.length === 1)
  expect([a.got.length, b.got.length]).toEqual([0, 0])
  await configure(api, networkOf('two'))
  expect((await api.state({})).ports.map(({ port }) => port).sort()).toEqual([b.plug.port, c.plug.port])
  await expect(api.plug(a.plug)).rejects.toMatchObject({ code: 'not-found', message: 'There is no network “one”.' })
  await api.unplug({ port: a.plug.port })
  await expect(api.plug({ ...a.plug, network: 'two', link: { kind: 'ring', ring: new SharedArrayBuffer(8) } })).rejects.toMatchObject({
    code: 'invalid-input',
  })
  expect((await api.state({})).ports).toHaveLength(2)
})

test('the policy of a network is in force at once', async () => {
  const { api } = startNetworkThread()
  const [a, b] = [new RingCard(1, 'one'), new RingCard(2, 'one')]
  await configure(api, networkOf('one'))
  for (const { plug } of [a, b]) await api.plug(plug)
  await configure(api, networkOf('one', { policy: { zones: [{ name: 'lab', machines: [a.plug.machine] }], otherwise: 'deny' } }))
  a.sendTo(b.mac, Buffer.from([1]))
  await until(async () => (await portOf(api, a.plug.port))!.denied === 1)
  await configure(api, networkOf('one'))
  a.sendTo(b.mac, Buffer.from([2]))
  await until(() => b.got.length === 1)
  expect(b.got[0]![14]).toBe(2)
})

test('a thousand cards: all hear a broadcast, and one alone what is for it', async () => {
  const { api } = startNetworkThread()
  await configure(api, networkOf('one'))
  const cards = Array.from({ length: 1000 }, (_, at) => new RingCard(at + 1, 'one'))
  await Promise.all(cards.map(({ plug }) => api.plug(plug)))
  cards[0]!.sendTo(BROADCAST, Buffer.from([1]))
  await until(() => cards.slice(1).every(({ got }) => got.length === 1))
  cards[999]!.sendTo(cards[0]!.mac, Buffer.from([2]))
  await until(() => cards[0]!.got.length === 1)
  expect(cards.slice(1).every(({ got }) => got.length === 1)).toBe(true)
  await Promise.all(cards.map(({ plug }) => api.unplug({ port: plug.port })))
  expect((await api.state({})).ports).toEqual([])
})
