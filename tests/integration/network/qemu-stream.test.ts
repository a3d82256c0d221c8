/** The link to a card of QEMU's, over real sockets: with a listener of ours that misbehaves, and with QEMU itself. */
import { spawn, type ChildProcess } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import path from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { REAL_CLOCK } from '../../../src-main/network/clock.ts'
import { FrameSplitter } from '../../../src-main/network/link/frame-splitter.ts'
import { QemuStream, type StreamAddress } from '../../../src-main/network/link/qemu-stream.ts'
import { until } from '../../support/until.ts'
import { withLeakCheck } from '../../support/leak-check.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

withLeakCheck()
const closing: (() => unknown)[] = []
// Before leaks are looked for.
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function framed(frame: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + frame.length)
  bytes.writeUInt32BE(frame.length)
  bytes.set(frame, 4)
  return bytes
}

/** Listens as QEMU does: for one client at a time. */
async function listen(at: string | number) {
  const got: Buffer[] = []
  const peers: Socket[] = []
  const server: Server = createServer((socket) => {
    peers.push(socket)
    const splitter = new FrameSplitter((frame) => got.push(Buffer.from(frame)))
    socket.on('data', (chunk) => splitter.push(chunk))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => (typeof at === 'string' ? server.listen(at, resolve) : server.listen(at, '127.0.0.1', resolve)))
  const close = async (): Promise<void> => {
    for (const peer of peers) peer.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  closing.push(close)
  return { got, peers, server, close }
}

function link(address: StreamAddress) {
  const got: Buffer[] = []
  const changes: boolean[] = []
  const stream = new QemuStream(
    address,
    (frame) => got.push(Buffer.from(frame)),
    REAL_CLOCK,
    () => changes.push(stream.connected),
  )
  closing.push(() => stream.dispose())
  return { stream, got, changes }
}

test('frames pass both ways, in order, with pieces cut anywhere', async () => {
  const socket = path.join(await tempFolder(), 'nic.sock')
  const peer = await listen(socket)
  const { stream, got } = link({ path: socket })
  await until(() => stream.connected && peer.peers.length === 1)
  const random = seeded(5)
  const down = Array.from({ length: 400 }, () => noise(random, 14 + random(random(40) === 0 ? 65_000 : 1500)))
  const bytes = Buffer.concat(down.map(framed))
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random(random(2) === 0 ? 50_000 : 40)
    peer.peers[0]!.write(bytes.subarray(at, at + length))
    at += length
    if (random(4) === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const up = Array.from({ length: 400 }, () => noise(random, 14 + random(1500)))
  for (const frame of up) {
    expect(stream.send(frame)).toBe(true)
    if (random(4) === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => got.length === down.length && peer.got.length === up.length)
  expect(Buffer.concat(got).equals(Buffer.concat(down))).toBe(true)
  expect(Buffer.concat(peer.got).equals(Buffer.concat(up))).toBe(true)
})

test('who does not read gets what there is room for, whole; the rest is dropped', async () => {
  const peer = await listen(0)
  const { stream } = link({ port: (peer.server.address() as AddressInfo).port })
  await until(() => stream.connected && peer.peers.length === 1)
  peer.peers[0]!.pause()
  const frame = new Uint8Array(1514)
  let taken = 0
  // More than any kernel keeps for a socket.
  for (let turn = 0; turn < 50; turn++) {
    for (let count = 0; count < 500; count++) {
      frame.fill(taken & 255)
      if (stream.send(frame)) taken++
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(stream.send(frame)).toBe(false)
  peer.peers[0]!.resume()
  await until(() => peer.got.length === taken)
  peer.got.forEach((bytes, at) => expect([bytes.length, bytes[0], bytes[1513]]).toEqual([1514, at & 255, at & 255]))
  expect(stream.send(frame)).toBe(true)
  await until(() => peer.got.length === taken + 1)
})

test('the link is made when the other end comes, and again after either end went', async () => {
  const socket = path.join(await tempFolder(), 'nic.sock')
  const { stream, got, changes } = link({ path: socket })
  expect(stream.send(new Uint8Array(60))).toBe(false)
  for (let round = 0; round < 3; round++) {
    const peer = await listen(socket)
    await until(() => stream.connected && peer.peers.length === 1)
    // In the middle of a frame, which is lost; what comes on the next connection is whole.
    peer.peers[0]!.write(framed(new Uint8Array(60).fill(round)))
    peer.peers[0]!.write(Buffer.from([0, 0, 0, 60, 1, 2, 3]))
    await until(() => got.length === round + 1)
    expect(stream.send(new Uint8Array(70).fill(round))).toBe(true)
    await until(() => peer.got.length === 1)
    await peer.close()
    await until(() => !stream.connected)
    await rm(socket, { force: true })
  }
  expect(got.map((frame) => [frame.length, frame[0]])).toEqual([
    [60, 0],
    [60, 1],
    [60, 2],
  ])
  expect(changes).toEqual([true, false, true, false, true, false])
})

test('a peer that sends nonsense is cut, and taken again', async () => {
  const peer = await listen(0)
  const { stream, got } = link({ port: (peer.server.address() as AddressInfo).port })
  const random = seeded(9)
  for (let round = 0; round < 4; round++) {
    await until(() => stream.connected && peer.peers.length === round + 1)
    const gone = new Promise((resolve) => peer.peers[round]!.once('close', resolve))
    peer.peers[round]!.write(Buffer.concat([Buffer.from([0xff, 0, 0, 0]), noise(random, 100_000)]))
    await gone
  }
  await until(() => peer.peers.length === 5)
  peer.peers[4]!.write(framed(new Uint8Array(99)))
  await until(() => got.length === 1)
})

test('an end of the other side alone ends the connection, too', async () => {
  const peer = await listen(0)
  const { stream } = link({ port: (peer.server.address() as AddressInfo).port })
  await until(() => stream.connected && peer.peers.length === 1)
  peer.peers[0]!.end()
  await until(() => peer.peers.length === 2 && stream.connected)
})

test.skipIf(!QEMU_PROGRAM)(
  'with QEMU, whose hub hands frames from one card’s link to the other; each of the three goes and comes back',
  async () => {
    const folder = await tempFolder()
    const sockets = [path.join(folder, 'a.sock'), path.join(folder, 'b.sock')] as const
    let qemu = startHub(sockets)
    closing.push(() => endProcess(qemu))
    const far = link({ path: sockets[1] })
    const exchange = async (near: ReturnType<typeof link>): Promise<void> => {
      await until(() => near.stream.connected && far.stream.connected)
      // QEMU takes a connection a moment after its socket did: what is sent before is lost.
      await until(() => (near.stream.send(probe(60)), far.got.some((frame) => frame.length === 60)))
      await until(() => (far.stream.send(probe(61)), near.got.some((frame) => frame.length === 61)))
      for (const at of [near, far]) at.got.length = 0
      for (const length of [14, 62, 1514, 9014, 65_534]) {
        near.stream.send(probe(length))
        far.stream.send(probe(length))
      }
      const expected = [14, 62, 1514, 9014, 65_534]
      const lengths = ({ got }: typeof near): number[] => got.map(({ length }) => length).filter((length) => expected.includes(length))
      await until(() => lengths(near).length === 5 && lengths(far).length === 5)
      expect(far.got.filter(({ length }) => expected.includes(length)).every((frame) => frame.equals(probe(frame.length)))).toBe(true)
      expect(lengths(near)).toEqual(expected)
    }
    const first = link({ path: sockets[0] })
    await exchange(first)
    first.stream.dispose()
    const second = link({ path: sockets[0] })
    await exchange(second)
    await endProcess(qemu)
    await until(() => !second.stream.connected && !far.stream.connected)
    qemu = startHub(sockets)
    await exchange(second)
  },
)

function startHub(sockets: readonly [string, string]): ChildProcess {
  const ends = sockets.flatMap((socket, at) => [
    '-netdev',
    `stream,id=n${at},server=on,addr.type=unix,addr.path=${socket}`,
    '-netdev',
    `hubport,id=h${at},hubid=0,netdev=n${at}`,
  ])
  return spawn(QEMU_PROGRAM!, ['-machine', 'none', '-nodefaults', '-display', 'none', ...ends], { stdio: 'ignore' })
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

/** A broadcast of so many bytes. */
function probe(length: number): Buffer {
  return Buffer.alloc(length, length & 255).fill(255, 0, 6)
}
