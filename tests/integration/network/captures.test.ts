/** Captures as files, read by Wireshark's own reader; and lists of packets as they come. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Captures } from '../../../src-main/network/capture/captures.ts'
import { ARP } from '../../../src-main/network/codec/arp.ts'
import { TCP } from '../../../src-main/network/codec/tcp.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import type { PacketSummary } from '../../../src-shared/model/packet.ts'
import { arpFrame, icmpFrame, tcpFrame, udpFrame } from '../../support/frames.ts'
import { output, without } from '../../support/programs.ts'
import { streamPair } from '../../support/stream-pair.ts'
import { until } from '../../support/until.ts'

const ENDS = { from: '10.0.2.15', to: '10.0.2.1' }
const BACK = { from: '10.0.2.1', to: '10.0.2.15', fromMac: '52:54:00:00:00:02', toMac: '52:54:00:00:00:01' }
const WEB = { port: 'web/nic0', network: 'lab', name: 'web-1 “über”:nic0', mac: '52:54:00:00:00:01' }
const DB = { port: 'db/nic0', network: 'lab', name: 'db:nic0', mac: '52:54:00:00:00:02' }

let folder: string
let captures: Captures
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coppice-capture-'))
  path = join(folder, 'web.pcapng')
  captures = new Captures()
  captures.put(WEB, MiB)
  captures.put(DB, MiB)
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

function talk(): void {
  captures.see(WEB.port, arpFrame(ENDS, ARP.request), 'out')
  captures.see(DB.port, arpFrame(ENDS, ARP.request), 'in')
  captures.see(WEB.port, icmpFrame(ENDS, { type: 8, rest: 1, body: new Uint8Array(56) }), 'out')
  captures.see(WEB.port, udpFrame({ from: 'fd00::15', to: 'fd00::1' }, 1000, 2000, 'odd'), 'out')
  captures.see(WEB.port, tcpFrame(ENDS, { sourcePort: 4000, destinationPort: 80, flags: TCP.syn }), 'out')
  const answer = tcpFrame(BACK, { sourcePort: 80, destinationPort: 4000, flags: TCP.syn | TCP.ack, acknowledgment: 1 })
  captures.see(DB.port, answer, 'out')
  captures.see(WEB.port, answer, 'in')
}

const never = (): AbortSignal => new AbortController().signal

describe.skipIf(without('tshark'))('Wireshark’s reader', () => {
  test('has every frame, its time, its interface and its direction, and finds no fault', async () => {
    const before = Date.now()
    talk()
    const saved = await captures.save({ port: WEB.port }, { path, last: 60_000, duration: null }, never())
    expect(saved).toEqual({ frames: 5, bytes: (await readFile(path)).length, path })
    const fields = ['frame.time_epoch', 'frame.interface_name', 'frame.packet_flags_direction', 'frame.protocols', 'frame.len']
    const lines = (
      await output('tshark', [
        '-r',
        path,
        '-o',
        'tcp.check_checksum:TRUE',
        '-o',
        'ip.check_checksum:TRUE',
        '-T',
        'fields',
        '-E',
        'separator=|',
        ...fields.flatMap((field) => ['-e', field]),
      ])
    )
      .trim()
      .split('\n')
    const rows = lines.map((line) => line.split('|'))
    expect(rows.map(([, name, direction, protocols]) => [name, Number(direction), protocols])).toEqual([
      [WEB.name, 2, 'eth:ethertype:arp'],
      [WEB.name, 2, 'eth:ethertype:ip:icmp:data'],
      [WEB.name, 2, 'eth:ethertype:ipv6:udp:data'],
      [WEB.name, 2, 'eth:ethertype:ip:tcp'],
      [WEB.name, 1, 'eth:ethertype:ip:tcp'],
    ])
    for (const [time] of rows) expect(Math.abs(Number(time) * 1000 - before)).toBeLessThan(60_000)
    const faults = [
      '_ws.malformed',
      'ip.checksum.status == 0',
      'tcp.checksum.status == 0',
      'udp.checksum.status == 0',
      '_ws.expert.severity == error',
    ]
    expect(
      await output('tshark', ['-r', path, '-o', 'tcp.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', faults.join(' or ')]),
    ).toBe('')
  })

  test('has each frame of a network once, at the card that sent it', async () => {
    talk()
    expect(await captures.save({ network: 'lab' }, { path, last: 60_000, duration: null }, never())).toMatchObject({ frames: 5 })
    const names = await output('tshark', ['-r', path, '-T', 'fields', '-e', 'frame.interface_name'])
    expect(names.trim().split('\n')).toEqual([WEB.name, WEB.name, WEB.name, WEB.name, DB.name])
  })

  test('tells what the file holds, and where its cards are', async () => {
    talk()
    captures.freeze('a1', WEB.port, '“web” scans the ports of 10.0.2.9.')
    const about = async (target: Parameters<Captures['save']>[0], name: string): Promise<string> => {
      await captures.save(target, { path: `${path}-${name}`, last: 90_000, duration: null }, never())
      return output('capinfos', ['-k', '-I', `${path}-${name}`])
    }
    expect(await about({ port: WEB.port }, 'card')).toMatch(
      /Capture comment: +web-1 “über”:nic0 in the network “lab”: what was kept of the 1 min 30 s/,
    )
    expect(await about({ network: 'lab' }, 'network')).toMatch(/Capture comment: +The network “lab”, each packet once/)
    const alert = await about({ port: 'alert/a1' }, 'alert')
    expect(alert).toContain('What led to an alert in the network “lab”: “web” scans the ports of 10.0.2.9.')
    expect(alert).toContain('Description = In the network “lab”, as the machine sees it')
  })

  test('opens what was captured while it came, until that was ended', async () => {
    talk()
    const enough = new AbortController()
    const saving = captures.save({ port: WEB.port }, { path, last: null, duration: 60_000 }, enough.signal)
    talk()
    enough.abort()
    expect(await saving).toMatchObject({ frames: 5, path })
    expect((await output('tshark', ['-r', path])).trim().split('\n')).toHaveLength(5)
  })
})

describe('a capture', () => {
  test('is of the last while that was asked for', async () => {
    talk()
    // Far enough from both for a computer that is busy.
    const later = Date.now() + 200
    await until(() => Date.now() >= later + 200)
    captures.see(DB.port, arpFrame(ENDS, ARP.request), 'out')
    const last = Date.now() - later
    expect(await captures.save({ network: 'lab' }, { path, last, duration: null }, never())).toMatchObject({ frames: 1 })
  })

  test('is of what was kept at one moment, in order, while packets keep coming', async () => {
    fill(2000, 0)
    const saving = captures.save({ network: 'lab' }, { path, last: 60_000, duration: null }, never())
    let saved: Awaited<typeof saving> | null = null
    void saving.then((value) => (saved = value))
    for (let at = 2000; saved === null; at += 20) {
      fill(20, at)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const kept = packetsIn(await readFile(path))
    expect(saved).toMatchObject({ frames: kept.length })
    expect(kept.length).toBeGreaterThan(1000)
    const newest = kept.at(-1)!.number
    expect(kept.map(({ at }) => at)).toEqual(kept.map(({ at }) => at).toSorted((a, b) => a - b))
    for (const index of [0, 1]) {
      const numbers = kept.filter((packet) => packet.index === index).map(({ number }) => number)
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, at) => newest + 1 - numbers.length + at))
    }
    expect(await readdir(folder)).toEqual(['web.pcapng'])
  })

  test('of what is kept leaves nothing where it is cancelled', async () => {
    fill(2000, 0)
    const stop = new AbortController()
    const saving = captures.save({ network: 'lab' }, { path, last: 60_000, duration: null }, stop.signal)
    stop.abort()
    await expect(saving).rejects.toMatchObject({ code: 'cancelled' })
    expect(await readdir(folder)).toEqual([])
  })

  /** So many of each of two cards, with their numbers as ports. */
  function fill(count: number, first: number): void {
    for (let at = 0; at < count; at++)
      for (const { port } of [WEB, DB]) captures.see(port, udpFrame(ENDS, (first + at) % 65_536, 53, new Uint8Array(600)), 'out')
  }

  /** Enhanced packet blocks, with the source ports of their UDP. */
  function packetsIn(file: Buffer): { index: number; at: number; number: number }[] {
    const found: { index: number; at: number; number: number }[] = []
    for (let at = 0; at < file.length; at += file.readUInt32LE(at + 4))
      if (file.readUInt32LE(at) === 6)
        found.push({
          index: file.readUInt32LE(at + 8),
          at: file.readUInt32LE(at + 12) * 2 ** 32 + file.readUInt32LE(at + 16),
          number: file.readUInt16BE(at + 28 + 14 + 20),
        })
    return found
  }

  test('takes no name that is taken, and leaves nothing where it fails', async () => {
    await writeFile(path, 'mine')
    const order = { last: 60_000, duration: null }
    await expect(captures.save({ network: 'lab' }, { path, ...order }, never())).rejects.toMatchObject({ code: 'already-exists' })
    expect(await readFile(path, 'utf8')).toBe('mine')
    await expect(captures.save({ network: 'lab' }, { path: join(folder, 'no', 'x.pcapng'), ...order }, never())).rejects.toMatchObject({
      code: 'not-found',
    })
    expect(await readdir(folder)).toEqual(['web.pcapng'])
  })

  test('of what keeps nothing, and of what is not there, is refused', async () => {
    captures.put(WEB, 0)
    const order = { path, last: 1000, duration: null }
    await expect(captures.save({ port: WEB.port }, order, never())).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(captures.save({ port: 'no/nic0' }, order, never())).rejects.toMatchObject({ code: 'not-found' })
  })
})

test('what led to an alert is kept for it, whatever passes later, and is told only where it is asked for', async () => {
  talk()
  captures.freeze('a1', WEB.port, '“web” scans.')
  captures.remove(WEB.port)
  talk()
  expect(await captures.save({ port: 'alert/a1' }, { path, last: 60_000, duration: null }, never())).toMatchObject({ frames: 5 })
  expect(await captures.save({ network: 'lab' }, { path: `${path}2`, last: 60_000, duration: null }, never())).toMatchObject({ frames: 2 })
  for (let at = 0; at < 60; at++) captures.freeze(`b${at}`, DB.port, '')
  await expect(captures.save({ port: 'alert/a1' }, { path: `${path}3`, last: 60_000, duration: null }, never())).rejects.toMatchObject({
    code: 'not-found',
  })
})

describe('a list of packets', () => {
  test('begins with what is kept, goes on with what comes, and shows what its filter lets through', async () => {
    talk()
    const { lines, end } = watch('not arp')
    await expect.poll(() => lines.length).toBe(4)
    talk()
    await expect.poll(() => lines.length).toBe(8)
    const packets = lines as PacketSummary[]
    expect(packets[0]).toMatchObject({ network: 'lab', port: WEB.port, direction: 'out', protocol: 'ICMP', source: '10.0.2.15' })
    expect(packets.map(({ at }) => at)).toEqual(packets.map(({ at }) => at).toSorted((a, b) => a - b))
    const one = captures.packet(packets[2]!.id)
    expect(one?.layers.map(({ name }) => name)).toEqual(['Ethernet', 'IPv4', 'TCP'])
    expect(captures.flow(packets[2]!.id)).toMatchObject({ ends: ['10.0.2.15:4000', '10.0.2.1:80'] })
    await end()
  })

  test('looks for what its filter lets through in all that is kept', async () => {
    captures.put(WEB, 8 * 1024 * 1024)
    captures.see(WEB.port, udpFrame(ENDS, 4444, 4444, 'the one'), 'out')
    for (let at = 0; at < 9000; at++) captures.see(WEB.port, udpFrame(ENDS, 1, 2, new Uint8Array(100)), 'out')
    const rare = watch('port 4444')
    await expect.poll(() => rare.lines.length).toBe(1)
    expect(rare.lines[0]).toMatchObject({ protocol: 'UDP', source: '10.0.2.15' })
    captures.see(WEB.port, udpFrame(ENDS, 4444, 4444, 'another'), 'out')
    await expect.poll(() => rare.lines.length).toBe(2)
    await rare.end()
    const all = watch('')
    await expect.poll(() => told(all.lines)).toBe(9002)
    expect(all.lines.filter((line) => 'id' in line).length).toBeGreaterThan(1000)
    await all.end()
  })

  test('says what was missed', async () => {
    captures.put(WEB, 128 * 1024)
    const { lines, end } = watch('', false)
    for (let at = 0; at < 5000; at++) captures.see(WEB.port, udpFrame(ENDS, 1, at, new Uint8Array(1000)), 'out')
    await expect.poll(() => told(lines)).toBe(5000)
    expect(lines.filter((line) => 'id' in line).length).toBeGreaterThan(50)
    await end()
  })

  test('goes on with a card that is plugged in again, and no two of its packets are taken for each other', async () => {
    const { lines, end } = watch('')
    for (let time = 1; time <= 3; time++) {
      talk()
      await expect.poll(() => lines.length).toBe(5 * time)
      captures.remove(WEB.port)
      captures.put(WEB, MiB)
    }
    const packets = lines as PacketSummary[]
    expect(new Set(packets.map(({ id }) => id)).size).toBe(15)
    expect(captures.packet(packets[0]!.id)).toBeNull()
    await end()
    // Nor with those of a thread that takes this one's place.
    captures = new Captures()
    captures.put(WEB, MiB)
    captures.put(DB, MiB)
    talk()
    for (const { id } of packets) expect(captures.packet(id)).toBeNull()
  })

  test('of packets that are gone there is nothing, and bad filters are refused', async () => {
    expect(captures.packet('web/nic0#5')).toBeNull()
    expect(captures.packet('nonsense')).toBeNull()
    expect(captures.flow('web/nic0#99999999999999')).toBeNull()
    const [near] = streamPair()
    await expect(captures.watch({ network: 'lab' }, 'port x', true, near, never())).rejects.toMatchObject({ code: 'invalid-input' })
  })

  /** Packets that a list shows, and those that it says were missed. */
  function told(lines: readonly (PacketSummary | { missed: number })[]): number {
    return lines.reduce((sum, line) => sum + ('missed' in line ? line.missed : 1), 0)
  }

  function watch(filter: string, kept = true): { lines: (PacketSummary | { missed: number })[]; end(): Promise<void> } {
    const [near, far] = streamPair()
    const lines: (PacketSummary | { missed: number })[] = []
    const done = captures.watch({ network: 'lab' }, filter, kept, near, never())
    const reading = (async () => {
      let rest = ''
      for await (const bytes of far) {
        const parts = (rest + new TextDecoder().decode(bytes)).split('\n')
        rest = parts.pop()!
        lines.push(...parts.map((line) => JSON.parse(line) as PacketSummary))
      }
    })()
    return {
      lines,
      end: async () => {
        far.close()
        near.close()
        await Promise.all([done.catch(() => {}), reading.catch(() => {})])
      },
    }
  }
})
