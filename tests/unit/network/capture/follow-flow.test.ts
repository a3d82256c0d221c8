import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CaptureBudget, FrameStore } from '../../../../src-main/network/capture/frame-store.ts'
import { followFlow } from '../../../../src-main/network/capture/follow-flow.ts'
import { TCP } from '../../../../src-main/network/codec/tcp.ts'
import { MiB } from '../../../../src-shared/base/units.ts'
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'
import type { FlowView } from '../../../../src-shared/threads/network-thread.ts'
import { arpFrame, tcpFrame, udpFrame } from '../../../support/frames.ts'

const CLIENT = { from: '10.0.2.15', to: '10.0.2.1' }
const SERVER = { from: '10.0.2.1', to: '10.0.2.15' }

function client(sequence: number, payload: string | Uint8Array = '', flags: number = TCP.ack): Uint8Array {
  return tcpFrame(CLIENT, {
    sourcePort: 4000,
    destinationPort: 80,
    sequence: sequence >>> 0,
    flags,
    payload: typeof payload === 'string' ? utf8(payload) : payload,
  })
}

function server(sequence: number, payload = '', flags: number = TCP.ack): Uint8Array {
  return tcpFrame(SERVER, { sourcePort: 80, destinationPort: 4000, sequence: sequence >>> 0, flags, payload: utf8(payload) })
}

function follow(frames: readonly Uint8Array[], number = 0): FlowView | null {
  const store = new FrameStore(4 * MiB, new CaptureBudget())
  for (const frame of frames) store.add(frame, 'out', 0)
  return followFlow(store, store.get(number)!)
}

function texts(flow: FlowView | null): [number, string][] {
  return flow!.parts.map(({ from, bytes }) => [from, new TextDecoder().decode(bytes)])
}

describe('a flow', () => {
  test('has both ways, whatever passes beside it', () => {
    const frames = [
      client(100, '', TCP.syn),
      server(500, '', TCP.syn | TCP.ack),
      udpFrame(CLIENT, 4000, 80, 'no'),
      client(101, 'GET '),
      client(105, '/'),
      arpFrame(CLIENT, 1),
      server(501, 'fine'),
      client(106, '', TCP.fin | TCP.ack),
    ]
    const flow = follow(frames, 6)
    expect(flow).toMatchObject({ protocol: 'tcp', ends: ['10.0.2.15:4000', '10.0.2.1:80'], incomplete: false })
    expect(texts(flow)).toEqual([
      [0, 'GET /'],
      [1, 'fine'],
    ])
    expect(follow(frames, 5)).toBeNull()
    expect(texts(follow(frames, 2))).toEqual([[0, 'no']])
  })

  test('puts segments in order: late, twice, overlapping, past the end of the numbers', () => {
    const start = -3
    const frames = [
      client(start - 1, '', TCP.syn),
      client(start + 4, 'efgh'),
      client(start, 'abcd'),
      client(start + 2, 'cdef'),
      client(start, 'abcd'),
      client(start + 6, 'ghij'),
    ]
    const flow = follow(frames, 3)
    expect(texts(flow)).toEqual([[0, 'abcdefghij']])
    expect(flow?.incomplete).toBe(false)
  })

  test('says that bytes are missing', () => {
    const gap = follow([client(0, '', TCP.syn), client(1, 'ab'), client(13, 'yz')])
    expect(texts(gap)).toEqual([
      [0, 'ab'],
      [0, 'yz'],
    ])
    expect(gap?.incomplete).toBe(true)
    expect(follow([client(1, 'begun before')])?.incomplete).toBe(true)
  })

  test('of ports that are used again is the one that the packet was in', () => {
    const frames = [
      client(10, '', TCP.syn),
      client(11, 'first'),
      client(9000, '', TCP.syn),
      client(9001, 'second'),
      client(70, '', TCP.syn),
      client(71, 'third'),
    ]
    expect(texts(follow(frames, 1))).toEqual([[0, 'first']])
    expect(texts(follow(frames, 3))).toEqual([[0, 'second']])
    expect(texts(follow(frames, 5))).toEqual([[0, 'third']])
  })

  test('datagrams stay apart', () => {
    expect(texts(follow([udpFrame(CLIENT, 1, 2, 'a'), udpFrame(SERVER, 2, 1, 'b'), udpFrame(CLIENT, 1, 2, 'c')]))).toEqual([
      [0, 'a'],
      [1, 'b'],
      [0, 'c'],
    ])
  })

  test('any order and any cuts give the same bytes', () => {
    const cuts = fc.array(fc.tuple(fc.nat(90), fc.integer({ min: 1, max: 30 })), { maxLength: 30 })
    fc.assert(
      fc.property(cuts, fc.nat(), (pieces, seed) => {
        const whole = Uint8Array.from({ length: 100 }, (_, at) => at)
        const all = [
          ...pieces.map(([at, length]) => ({ at, bytes: whole.slice(at, at + length) })),
          ...[0, 25, 50, 75].map((at) => ({ at, bytes: whole.slice(at, at + 25) })),
        ]
        all.sort((a, b) => ((a.at * 7919 + seed) % 101) - ((b.at * 7919 + seed) % 101))
        const flow = follow([client(0xffff_ffcf, '', TCP.syn), ...all.map(({ at, bytes }) => client(0xffff_ffd0 + at, bytes))])
        expect(concatBytes(flow!.parts.map(({ bytes }) => bytes))).toEqual(whole)
        expect(flow!.incomplete).toBe(false)
      }),
      { numRuns: 200 },
    )
  })
})
