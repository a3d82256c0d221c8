/** TFTP from a real folder: scripted clients that lose packets, and a real one over real sockets. */
import { execFile } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { REAL_CLOCK } from '../../../../src-main/network/clock.ts'
import type { UdpReplyOptions, UdpService, UdpServices } from '../../../../src-main/network/gateway/udp-service.ts'
import { buildTftp, parseTftp, type TftpPacket } from '../../../../src-main/network/services/tftp/codec.ts'
import { TftpServer } from '../../../../src-main/network/services/tftp/server.ts'
import { parseIp } from '../../../../src-shared/model/ip.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { without } from '../../../support/programs.ts'
import { noise, seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const SERVER = parseIp('10.9.0.1')!
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Ports of a gateway that keeps what is sent from them. */
function makePorts() {
  const services = new Map<number, UdpService>()
  const sent: { packet: TftpPacket; from: number; to: string }[] = []
  const udp: UdpServices = {
    listen(service) {
      if (services.has(service.port)) throw new Error('taken')
      services.set(service.port, service)
      return { dispose: () => void services.delete(service.port) }
    },
  }
  const give = (packet: TftpPacket | Uint8Array, port: number, { address = '10.9.0.2', sourcePort = 2000, mac = 1 } = {}): void => {
    const payload = packet instanceof Uint8Array ? packet : buildTftp(packet)
    services
      .get(port)
      ?.receive(
        { source: parseIp(address)!, sourcePort, destination: SERVER, destinationPort: port, payload, sourceMac: mac },
        (bytes: Uint8Array, how: UdpReplyOptions = {}) =>
          sent.push({ packet: parseTftp(bytes)!, from: how.sourcePort ?? port, to: `${address} ${sourcePort}` }),
      )
  }
  return { udp, services, sent, give }
}

const read = (file: string, options: Record<string, string> = {}, mode = 'octet'): TftpPacket => ({
  kind: 'read',
  file,
  mode,
  options: new Map(Object.entries(options)),
})

async function make() {
  const folder = await tempFolder()
  const ports = makePorts()
  const clock = new FakeClock()
  const server = new TftpServer(path.join(folder, 'boot'), ports.udp, clock)
  closing.push(() => server.dispose())
  await mkdir(path.join(folder, 'boot/pxe'), { recursive: true })
  await writeFile(path.join(folder, 'secret'), 'secret')
  const put = (name: string, bytes: string | Uint8Array) => writeFile(path.join(folder, 'boot', name), bytes)
  /** The packets that were sent since, once there are some. */
  const next = async () => {
    // Not by the clock: windows follow each other as fast as the file is read.
    while (ports.sent.length === 0) await new Promise(setImmediate)
    return ports.sent.splice(0)
  }
  const one = async () => (await next())[0]!
  return { ...ports, folder, clock, server, put, next, one }
}

describe('TFTP', () => {
  it('sends a file in blocks, from a port of its own, until its last is acknowledged', async () => {
    const { put, give, next, one, server, services, clock } = await make()
    const bytes = noise(seeded(1), 1024)
    await put('pxe/boot.0', bytes)
    give(read('/pxe\\boot.0'), 69)
    const { packet, from } = await one()
    expect(packet).toEqual({ kind: 'data', block: 1, bytes: bytes.subarray(0, 512) })
    expect(from).toBeGreaterThanOrEqual(49_152)
    // It asks again, and acknowledges twice: nothing is doubled.
    give(read('/pxe\\boot.0'), 69)
    give({ kind: 'ack', block: 1 }, from)
    give({ kind: 'ack', block: 1 }, from)
    expect(await next()).toMatchObject([{ packet: { block: 2, bytes: bytes.subarray(512) } }])
    give({ kind: 'ack', block: 1 }, from)
    give({ kind: 'ack', block: 2 }, from)
    expect(await next()).toMatchObject([{ packet: { block: 3, bytes: new Uint8Array(0) } }])
    give({ kind: 'ack', block: 3 }, from)
    expect(server.transfers).toBe(0)
    expect([...services.keys()]).toEqual([69])
    expect(clock.waiting).toBe(0)
  })

  it('agrees on options, and sends windows of which what was lost comes again', async () => {
    const { put, give, next, one, server } = await make()
    const bytes = noise(seeded(2), 10_000)
    await put('big', bytes)
    give(read('big', { blksize: '9000', tsize: '0', windowsize: '3', timeout: '4', odd: 'x' }), 69)
    const { packet, from } = await one()
    expect(packet).toEqual({
      kind: 'options',
      options: new Map([
        ['blksize', '1468'],
        ['timeout', '4'],
        ['windowsize', '3'],
        ['tsize', '10000'],
      ]),
    })
    const blocks = async (ack: number): Promise<number[]> => {
      give({ kind: 'ack', block: ack }, from)
      return (await next()).map(({ packet: sent }) => (sent.kind === 'data' ? sent.block : -1))
    }
    expect(await blocks(0)).toEqual([1, 2, 3])
    expect(await blocks(1)).toEqual([2, 3, 4])
    expect(await blocks(4)).toEqual([5, 6, 7])
    give({ kind: 'ack', block: 9 }, from)
    give({ kind: 'ack', block: 7 }, from)
    expect(server.transfers).toBe(0)
  })

  it('what is not acknowledged comes again, more and more slowly, and not for ever', async () => {
    const { put, give, next, server, clock, sent, services } = await make()
    await put('file', 'x')
    give(read('file'), 69)
    await next()
    for (const wait of [1000, 2000, 4000, 8000, 16_000]) {
      clock.advance(wait - 1)
      expect(sent).toHaveLength(0)
      clock.advance(1)
      expect(sent.splice(0)).toHaveLength(1)
    }
    clock.advance(32_000)
    expect(server.transfers).toBe(0)
    expect(sent).toHaveLength(0)
    expect(services.size).toBe(1)
  })

  it('block numbers come round', async () => {
    const { put, give, next, one, server } = await make()
    await put('file', new Uint8Array(8 * 66_000))
    give(read('file', { blksize: '8', windowsize: '64' }), 69)
    const { from } = await one()
    let acknowledged = 0
    let blocks = 0
    while (server.transfers > 0) {
      give({ kind: 'ack', block: acknowledged & 0xffff }, from)
      if (server.transfers === 0) break
      const window = await next()
      blocks += window.length
      acknowledged += window.length
      expect(window.at(-1)!.packet).toMatchObject({ block: acknowledged & 0xffff })
    }
    expect(blocks).toBe(66_001)
  }, 60_000)

  it('nothing outside of the folder is read, and nothing but files', async () => {
    const { folder, put, give, next } = await make()
    await symlink('../secret', path.join(folder, 'boot/out'))
    await symlink('..', path.join(folder, 'boot/up'))
    await put('real', 'real')
    await symlink('real', path.join(folder, 'boot/in'))
    if (process.platform !== 'win32') await promisify(execFile)('mkfifo', [path.join(folder, 'boot/pipe')])
    for (const [name, code] of [
      ['../secret', 2],
      ['pxe/../../secret', 2],
      ['..\\secret', 2],
      ['out', 2],
      ['up/secret', 2],
      ['pxe', 2],
      ['pipe', 2],
      ['none', 1],
      ['real/none', 1],
      ['/', 1],
      [path.join(folder, 'secret'), 1],
      ['x'.repeat(401), 1],
    ] as const) {
      give(read(name), 69)
      expect(await next(), name).toMatchObject([{ packet: { kind: 'error', code }, from: 69 }])
    }
    give(read('in'), 69)
    expect(await next()).toMatchObject([{ packet: { kind: 'data' } }])
  })

  it('nothing is written, in no other mode, and nobody joins another’s transfer', async () => {
    const { put, give, next, one, sent, folder } = await make()
    await put('file', 'x'.repeat(600))
    give({ kind: 'write', file: 'new', mode: 'octet', options: new Map() }, 69)
    expect(await next()).toMatchObject([{ packet: { kind: 'error', code: 2 } }])
    await expect(readFile(path.join(folder, 'boot/new'))).rejects.toThrow('ENOENT')
    give(read('file', {}, 'mail'), 69)
    expect(await next()).toMatchObject([{ packet: { kind: 'error', code: 4 } }])
    give({ kind: 'ack', block: 1 }, 69)
    give(Uint8Array.of(9, 9), 69)
    give(read('file'), 69)
    const { from } = await one()
    give({ kind: 'ack', block: 1 }, from, { sourcePort: 2001 })
    expect(sent.splice(0)).toMatchObject([{ packet: { kind: 'error', code: 5 }, from, to: '10.9.0.2 2001' }])
    give({ kind: 'ack', block: 1 }, from)
    expect(await next()).toMatchObject([{ packet: { kind: 'data', block: 2 }, to: '10.9.0.2 2000' }])
    give({ kind: 'error', code: 0, message: 'enough' }, from)
    expect(sent).toHaveLength(0)
  })

  it('text has its line ends', async () => {
    const { put, give, next } = await make()
    await put('menu', 'a\nb\rc')
    give(read('menu', {}, 'netascii'), 69)
    expect(await next()).toMatchObject([{ packet: { bytes: new TextEncoder().encode('a\r\nb\r\0c') } }])
  })

  it('a machine has eight transfers, all have 128, and what ends makes room', async () => {
    const { put, give, next, sent, server, services } = await make()
    await put('file', 'x'.repeat(600))
    for (let at = 0; at < 9; at++) give(read('file'), 69, { sourcePort: 3000 + at })
    await expect.poll(() => sent.length).toBe(9)
    const packets = await next()
    expect(packets.filter(({ packet }) => packet.kind === 'error')).toHaveLength(1)
    for (let at = 0; at < 200; at++) give(read('file'), 69, { sourcePort: 4000 + at, mac: 10 + at })
    await expect.poll(() => sent.length).toBe(200)
    expect(server.transfers).toBe(128)
    server.dispose()
    expect(server.transfers).toBe(0)
    expect(services.size).toBe(0)
  })
})

/** Ports of this computer, as the gateway's are to machines. The service's own is a free one. */
function realPorts(): { udp: UdpServices; port: Promise<number> } {
  const first = Promise.withResolvers<number>()
  const sockets = new Map<number, Socket>()
  const udp: UdpServices = {
    listen(service) {
      const socket = createSocket('udp4')
      sockets.set(service.port, socket)
      socket.on('message', (payload, from) =>
        service.receive(
          {
            payload,
            source: parseIp(from.address)!,
            sourcePort: from.port,
            destination: parseIp('127.0.0.1')!,
            destinationPort: service.port,
            sourceMac: 1,
          },
          (bytes, how = {}) => sockets.get(how.sourcePort ?? service.port)?.send(bytes, from.port, from.address),
        ),
      )
      socket.bind(service.port === 69 ? 0 : service.port, '127.0.0.1')
      if (service.port === 69) void once(socket, 'listening').then(() => first.resolve(socket.address().port))
      return {
        dispose: () => {
          socket.close()
          sockets.delete(service.port)
        },
      }
    },
  }
  return { udp, port: first.promise }
}

describe.skipIf(without('curl'))('TFTP for curl', () => {
  it('a file comes whole, in small blocks and in large ones', async () => {
    const folder = await tempFolder()
    const bytes = noise(seeded(3), 1_000_000)
    await writeFile(path.join(folder, 'image'), bytes)
    const { udp, port } = realPorts()
    const server = new TftpServer(folder, udp, REAL_CLOCK)
    closing.push(() => server.dispose())
    for (const args of [[], ['--tftp-blksize', '1400'], ['--tftp-no-options']]) {
      const target = path.join(folder, 'got')
      await promisify(execFile)('curl', ['-sS', '--fail', ...args, '-o', target, `tftp://127.0.0.1:${await port}/image`])
      expect(Buffer.compare(await readFile(target), bytes)).toBe(0)
    }
    await expect.poll(() => server.transfers).toBe(0)
  })
})
