/** What a peer that does not play by the rules can do: nothing, to anybody but itself. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { ACK, MAX_CHUNK, WINDOW, WireByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { isWireMessage } from '../../../../src-shared/rpc/check-message.ts'
import { RpcServer } from '../../../../src-shared/rpc/server.ts'
import type { WireMessage } from '../../../../src-shared/rpc/wire.ts'
import { decodeFrame, encodeForStream, encodeFrame, MAX_FRAME, MessageReader } from '../../../../src-shared/rpc/wires/frames.ts'
import { memoryWirePair } from '../../../../src-shared/rpc/wires/memory-wire.ts'
import { socketPair, WIRE_PAIRS } from '../../../support/wire-pairs.ts'
import { settle, testPeers } from './test-service.ts'

const id = fc.integer({ min: 1, max: 50 })
const bytes = fc.uint8Array({ maxLength: 100 }) as fc.Arbitrary<Uint8Array<ArrayBuffer>>
const wireError = fc.record({ code: fc.constant('io' as const), message: fc.string() })
const message: fc.Arbitrary<WireMessage> = fc.oneof(
  fc.record({ t: fc.constantFrom('call', 'open'), id, service: fc.string(), method: fc.string(), input: fc.jsonValue() }),
  fc.record({ t: fc.constant('subscribe'), id, service: fc.string(), method: fc.string() }),
  fc.record({ t: fc.constantFrom('abort', 'unsubscribe', 'end', 'close'), id }),
  fc.record({ t: fc.constantFrom('ok', 'event'), id, value: fc.jsonValue() }),
  fc.record({ t: fc.constant('error'), id, error: wireError }),
  fc.record({ t: fc.constant('data'), id, data: bytes }),
  fc.record({ t: fc.constant('credit'), id, bytes: fc.integer() }),
) as fc.Arbitrary<WireMessage>
/** Like a message, with anything in any field. */
const almost = fc.record(
  {
    t: fc.oneof(fc.constantFrom('call', 'open', 'subscribe', 'data', 'credit', 'close', 'error', 'toString', '__proto__'), fc.anything()),
    id: fc.oneof(id, fc.anything()),
    service: fc.oneof(fc.constantFrom('test', '__proto__'), fc.jsonValue()),
    method: fc.oneof(fc.constantFrom('add', 'echo', 'ticks', 'keep', '__proto__'), fc.jsonValue()),
    input: fc.jsonValue(),
    data: fc.anything(),
    bytes: fc.anything(),
    error: fc.anything(),
  },
  { requiredKeys: [] },
)

function valueOf(read: () => WireMessage): WireMessage | AppError {
  try {
    return read()
  } catch (error) {
    expect(error).toBeInstanceOf(AppError)
    return error as AppError
  }
}

describe('frames', () => {
  test('every message goes there and back', () => {
    fc.assert(
      fc.property(message, (sent) => {
        const plain = (value: unknown): unknown =>
          JSON.parse(JSON.stringify(value, (_key, item: unknown) => (item instanceof Uint8Array ? [...item] : item)))
        expect(plain(decodeFrame(encodeFrame(sent)))).toEqual(plain(sent))
      }),
    )
  })

  test('any bytes give a message or an AppError', () => {
    const withHeader = fc.tuple(fc.json(), bytes).map(([json, rest]) => {
      const text = new TextEncoder().encode(json)
      const frame = new Uint8Array(4 + text.length + rest.length)
      new DataView(frame.buffer).setUint32(0, text.length)
      frame.set(text, 4)
      frame.set(rest, 4 + text.length)
      return frame
    })
    const damaged = fc.tuple(message, fc.nat(), fc.nat({ max: 255 })).map(([sent, at, value]) => {
      const frame = encodeFrame(sent)
      frame[at % frame.length] = value
      return frame
    })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), withHeader, damaged), (frame) => {
        const value = valueOf(() => decodeFrame(frame))
        expect(value instanceof AppError || isWireMessage(value)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('a deeply nested header is no trouble', () => {
    const json = new TextEncoder().encode(
      `{"t":"call","id":1,"service":"a","method":"b","input":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    )
    const frame = new Uint8Array(4 + json.length)
    new DataView(frame.buffer).setUint32(0, json.length)
    frame.set(json, 4)
    valueOf(() => decodeFrame(frame))
  })

  test('a message that no peer would take is refused before it is sent', () => {
    expect(() => encodeFrame({ t: 'ok', id: 1, value: 'x'.repeat(MAX_FRAME) })).toThrow(expect.objectContaining({ code: 'invalid-input' }))
    expect(() => encodeFrame({ t: 'ok', id: 1, value: 1n })).toThrow(expect.objectContaining({ code: 'invalid-input' }))
  })

  test('a byte stream may be cut anywhere', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat({ max: 40 })), (messages, cuts) => {
        const all = Buffer.concat(messages.flatMap((sent) => encodeForStream(sent)) as Uint8Array[])
        const reader = new MessageReader()
        const read: WireMessage[] = []
        let at = 0
        for (const size of [...cuts, all.length]) {
          read.push(...reader.push(all.subarray(at, at + size)))
          at += size
        }
        expect(read).toEqual(messages.map((sent) => decodeFrame(encodeFrame(sent))))
      }),
    )
  })

  test('byte by byte gives the same', () => {
    const messages: WireMessage[] = [
      { t: 'data', id: 1, data: new Uint8Array(300).fill(7) },
      { t: 'end', id: 1 },
      { t: 'ok', id: 2, value: 'ü' },
    ]
    const all = Buffer.concat(messages.flatMap((sent) => encodeForStream(sent)) as Uint8Array[])
    const reader = new MessageReader()
    expect([...all].flatMap((byte) => reader.push(Uint8Array.of(byte)))).toEqual(messages)
  })

  test.each([
    ['over the limit', [MAX_FRAME + 1]],
    ['too small for a header', [3]],
    ['smaller than its header', [100, 97]],
  ])('a length that is %s is refused at once, before its bytes come', (_what, lengths) => {
    const bytes = new Uint8Array(4 * lengths.length)
    lengths.forEach((length, at) => new DataView(bytes.buffer).setUint32(4 * at, length))
    expect(() => new MessageReader().push(bytes)).toThrow(expect.objectContaining({ code: 'invalid-input' }))
  })

  test('the bytes of a message are its own', () => {
    const sent: WireMessage = { t: 'data', id: 1, data: new Uint8Array(300).fill(7) }
    for (const { data } of [
      decodeFrame(encodeFrame(sent)),
      ...new MessageReader().push(Buffer.concat(encodeForStream(sent) as Uint8Array[])),
    ] as {
      data: Uint8Array
    }[])
      expect(data.buffer.byteLength).toBe(data.length)
  })
})

describe('a server under fire', () => {
  test.each(Object.entries(WIRE_PAIRS))('over a %s: any messages leave it serving', async (_name, makePair) => {
    const pair = await makePair()
    const peers = testPeers(pair.near, pair.far)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(message, almost.filter(isWireMessage) as unknown as fc.Arbitrary<WireMessage>), { maxLength: 30 }),
        async (messages) => {
          for (const sent of messages) {
            try {
              pair.near.post({ ...sent, id: (sent.id % 50) + 1_000_000 })
            } catch {
              // Not to be sent at all: functions and the like.
            }
          }
          await settle(1)
        },
      ),
      { numRuns: 40 },
    )
    expect(await peers.api.add({ a: 20, b: 22 })).toBe(42)
    expect(peers.faults).toEqual([])
    peers.dispose()
    await pair.close()
  })

  test('what is no message is ignored on a port', async () => {
    const { MessageChannel } = await import('node:worker_threads')
    const { portToWire } = await import('../../../support/wire-pairs.ts')
    const { port1, port2 } = new MessageChannel()
    const peers = testPeers(portToWire(port1), portToWire(port2))
    for (const junk of [
      null,
      undefined,
      5,
      'x',
      [],
      {},
      { t: 'call', id: 1 },
      { t: 'call', id: 1, service: { toString: 5 }, method: 'x' },
      { t: 'data', id: 1 },
    ])
      port1.postMessage(junk)
    expect(await peers.api.add({ a: 1, b: 1 })).toBe(2)
    peers.dispose()
  })

  test('what is no message closes a socket, and what is pending fails', async () => {
    const { near, far, close } = await socketPair()
    const { socketWire } = await import('../../../../src-main/app/local/socket-wire.ts')
    const wire = socketWire(far)
    const serving = new RpcServer().attach(wire, { kind: 'test' })
    const closed = new Promise<void>((resolve) => wire.onClose(resolve))
    near.write(new Uint8Array([0, 0, 0, 9, 0, 0, 0, 5, ...new TextEncoder().encode('{"t":')]))
    await closed
    serving.dispose()
    await close()
  })

  test('a service’s name that cannot be shown does no harm', () => {
    const [near, far] = memoryWirePair()
    const serving = new RpcServer().attach(far, { kind: 'test' })
    expect(isWireMessage({ t: 'call', id: 1, service: { toString: 1 }, method: 'x', input: {} })).toBe(false)
    serving.dispose()
    near.close()
  })
})

describe('a stream whose other end cheats', () => {
  function stream() {
    const sent: unknown[] = []
    const made = new WireByteStream({
      data: (data) => sent.push(['data', data.length]),
      credit: (credit) => sent.push(['credit', credit]),
      end: () => sent.push(['end']),
      close: (error) => sent.push(['close', error?.code]),
    })
    return { made, sent }
  }

  test('more bytes than were granted close it with an error', async () => {
    const { made, sent } = stream()
    made.receiveData(new Uint8Array(WINDOW))
    expect(made.closed).toBe(false)
    made.receiveData(new Uint8Array(1))
    expect(sent).toEqual([['close', 'invalid-input']])
    while ((await made.read().catch(() => null)) !== null);
    await expect(made.read()).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('credit that was never consumed, or is no number, is not taken', async () => {
    const { made, sent } = stream()
    for (const credit of [1, -1, 0, NaN, Infinity, 0.5, 2 ** 60]) made.receiveCredit(credit)
    void made.write(new Uint8Array(WINDOW * 2)).catch(() => {})
    await settle()
    expect(sent.reduce<number>((sum, entry) => sum + (entry as [string, number])[1], 0)).toBe(WINDOW)
    made.receiveCredit(10)
    await settle()
    expect(sent.at(-1)).toEqual(['data', 10])
    made.close()
  })

  test('data after the end, and after the close, is dropped', async () => {
    const { made } = stream()
    made.receiveEnd()
    made.receiveData(new Uint8Array(5))
    expect(await made.read()).toBeNull()
    made.close()
    made.receiveData(new Uint8Array(5))
    made.receiveCredit(5)
    made.receiveEnd()
    made.receiveClose()
    expect(await made.read()).toBeNull()
  })

  test('bytes that come one by one are joined, and credit goes back in steps', async () => {
    const { made, sent } = stream()
    for (let at = 0; at < WINDOW; at++) made.receiveData(Uint8Array.of(at & 255))
    let received = 0
    while (received < WINDOW) {
      const chunk = (await made.read())!
      expect(chunk.length).toBe(MAX_CHUNK)
      expect(chunk[5]).toBe(5)
      received += chunk.length
    }
    expect(sent).toEqual(Array.from({ length: WINDOW / ACK }, () => ['credit', ACK]))
  })

  test('two readers at once are a fault, told to the second', async () => {
    const { made } = stream()
    const first = made.read()
    await expect(made.read()).rejects.toMatchObject({ code: 'internal' })
    made.receiveData(new Uint8Array(3))
    expect(await first).toHaveLength(3)
  })

  test('two writers at once do not mix', async () => {
    const pieces: Uint8Array[] = []
    const made = new WireByteStream({ data: (data) => pieces.push(data), credit: () => {}, end: () => {}, close: () => {} })
    await Promise.all([
      made.write(new Uint8Array(MAX_CHUNK * 2).fill(1)),
      made.write(new Uint8Array(MAX_CHUNK).fill(2)),
      made.write(new Uint8Array(0)),
    ])
    expect(pieces.map((piece) => piece[0])).toEqual([1, 1, 2])
  })
})
