/** What every wire must carry: the same tests over all four adapters. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { WINDOW, type ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { MAX_OPEN_PER_WIRE } from '../../../../src-shared/rpc/server.ts'
import { withLeakCheck } from '../../../support/leak-check.ts'
import { WIRE_PAIRS, type WirePair } from '../../../support/wire-pairs.ts'
import { settle, testPeers, type TestPeers } from './test-service.ts'

async function readAll(stream: ByteStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}
const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await settle(1)
}

describe.each(Object.entries(WIRE_PAIRS))('rpc over a %s', (name, makePair) => {
  withLeakCheck()
  let pair: WirePair
  let peers: TestPeers
  beforeEach(async () => {
    pair = await makePair()
    peers = testPeers(pair.near, pair.far)
  })
  afterEach(async () => {
    peers.dispose()
    await pair.close()
  })

  describe('calls', () => {
    test('an answer, with defaults filled in; also nothing', async () => {
      expect(await peers.api.add({ a: 1, b: 41 })).toBe(42)
      expect(await peers.api.nothing({})).toBeUndefined()
      expect(await peers.api.nested({ drives: [] })).toEqual({ size: 7 })
      expect(await peers.api.peer({})).toEqual({ kind: 'test' })
    })

    test('many at once get each its own answer', async () => {
      const answers = await Promise.all(Array.from({ length: 500 }, (_, at) => peers.api.add({ a: at, b: 1 })))
      expect(answers).toEqual(Array.from({ length: 500 }, (_, at) => at + 1))
    })

    test('a wrong input names every wrong field, and the handler never sees it', async () => {
      const refused = peers.api.nested({ drives: [{ path: 'a' }, { path: '' }], size: 'x', colour: 1 } as never)
      await expect(refused).rejects.toMatchObject({
        code: 'invalid-input',
        details: {
          fields: expect.arrayContaining([
            { path: 'drives.1.path', message: 'Choose a file.' },
            { path: 'size', message: expect.any(String) as string },
            { path: 'colour', message: 'There is no field “colour”.' },
          ]) as unknown,
        },
      })
    })

    test('an error crosses with code, sentence and details; a bug becomes `internal` and is told to the log', async () => {
      const error = await peers.api.fail({ how: 'app' }).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(AppError)
      expect(error).toMatchObject({
        code: 'no-space',
        message: 'The disk is full.',
        details: { subject: '/x', fields: [{ path: 'a.0', message: 'Bad.' }] },
      })
      const bug = (await peers.api.fail({ how: 'bug' }).catch((thrown: unknown) => thrown)) as AppError
      expect(bug.code).toBe('internal')
      expect(bug.details.technical).toContain('TypeError')
      expect(bug.message).not.toContain('    at ')
      await expect(peers.api.fail({ how: 'text' })).rejects.toMatchObject({ code: 'internal', details: { technical: 'just text' } })
      expect(peers.faults).toHaveLength(2)
      expect(peers.faults[0]).toContain('test.fail')
    })

    test('an answer or a question that cannot be sent is an error of its call alone', async () => {
      await expect(peers.api.fail({ how: 'uncloneable' })).rejects.toBeInstanceOf(AppError)
      // Over memory wires an answer is cloned on sending, over sockets it is JSON: either way functions do not go through as they are.
      await expect(peers.api.add({ a: 1n, b: () => {} } as never)).rejects.toMatchObject({ code: 'invalid-input' })
      expect(await peers.api.add({ a: 1, b: 1 })).toBe(2)
    })

    test('what does not exist is refused', async () => {
      for (const [service, method] of [
        ['test', 'none'],
        ['none', 'add'],
        ['test', 'toString'],
        ['test', '__proto__'],
        ['test', 'ticks'],
      ]) {
        const answer = new Promise((resolve) => pair.near.onMessage((message) => message.id === 999 && resolve(message)))
        pair.near.post({ t: 'call', id: 999, service: service!, method: method!, input: {} })
        expect(await answer).toMatchObject({ t: 'error', error: { code: 'unsupported' } })
      }
    })

    test('an abort ends the call here at once, and is seen by the handler', async () => {
      const caller = new AbortController()
      const call = peers.api.hang({}, { signal: caller.signal })
      await until(() => peers.hanging.length === 1)
      caller.abort()
      await expect(call).rejects.toMatchObject({ code: 'cancelled' })
      await until(() => peers.hanging[0]!.signal.aborted)
      expect(peers.hanging[0]!.signal.reason).toMatchObject({ code: 'cancelled' })
      await expect(peers.api.hang({}, { signal: caller.signal })).rejects.toMatchObject({ code: 'cancelled' })
      expect(peers.hanging).toHaveLength(1)
      expect(await peers.api.add({ a: 1, b: 1 })).toBe(2)
    })
  })

  describe('events', () => {
    test('every listener gets every value in order, until it is disposed', async () => {
      const seen: [string, number][] = []
      const first = peers.api.ticks(({ n }) => seen.push(['a', n]))
      const second = peers.api.ticks(({ n }) => seen.push(['b', n]))
      await until(() => peers.ticks.listenerCount === 2)
      peers.ticks.fire({ n: 1 })
      peers.ticks.fire({ n: 2 })
      await until(() => seen.length === 4)
      expect(seen.filter(([who]) => who === 'a')).toEqual([
        ['a', 1],
        ['a', 2],
      ])
      first.dispose()
      first.dispose()
      await until(() => peers.ticks.listenerCount === 1)
      peers.ticks.fire({ n: 3 })
      await until(() => seen.length === 5)
      expect(seen.at(-1)).toEqual(['b', 3])
      second.dispose()
      await until(() => peers.ticks.listenerCount === 0)
    })

    test('the wire’s end ends subscriptions on the serving side', async () => {
      const listening = peers.api.ticks(() => {})
      await until(() => peers.ticks.listenerCount === 1)
      peers.client.dispose()
      await until(() => peers.ticks.listenerCount === 0)
      listening.dispose()
    })
  })

  describe('streams', () => {
    test('an opening, then bytes both ways, then the end', async () => {
      const { opening, stream } = await peers.api.echo({ greeting: 'hello ' })
      expect(opening).toEqual({ length: 6 })
      await stream.write(utf8('wor'))
      await stream.write(utf8('ld'))
      stream.end()
      stream.end()
      expect((await readAll(stream)).toString()).toBe('hello world')
      await until(() => stream.closed)
    })

    test('megabytes arrive whole and in order', async () => {
      const sent = new Uint8Array(3 * 1024 * 1024 + 77)
      for (let at = 0; at < sent.length; at++) sent[at] = (at * 31 + (at >> 8)) & 255
      const { stream } = await peers.api.echo({ greeting: '' })
      const received = readAll(stream)
      await stream.write(sent)
      stream.end()
      expect(Buffer.compare(await received, sent)).toBe(0)
      expect(sent.length).toBeGreaterThan(0) // the writer’s own bytes were not taken away
    })

    test('a writer waits for a slow reader: no more than the window is ever under way', async () => {
      const { stream } = await peers.api.keep({})
      let accepted = 0
      const writing = (async () => {
        for (let at = 0; at < 64; at++) {
          await stream.write(new Uint8Array(16 * 1024))
          accepted += 16 * 1024
        }
        stream.end()
      })()
      await settle(20)
      expect(accepted).toBe(WINDOW)
      await settle(20)
      expect(accepted).toBe(WINDOW)
      expect(await readAll(peers.kept())).toHaveLength(1024 * 1024)
      await writing
    })

    test('a refused opening is an error', async () => {
      await expect(peers.api.refuse({})).rejects.toMatchObject({ code: 'denied', message: 'Not here.' })
      await expect(peers.api.echo({ greeting: 5 } as never)).rejects.toMatchObject({ code: 'invalid-input' })
    })

    test('closing ends both ends; with an error the other end learns it, after what came before', async () => {
      const { stream } = await peers.api.keep({})
      await peers.kept().write(utf8('last words'))
      peers.kept().close(new AppError('io', 'The disk broke.'))
      expect(Buffer.from((await stream.read())!).toString()).toBe('last words')
      await expect(stream.read()).rejects.toMatchObject({ code: 'io', message: 'The disk broke.' })
      await expect(stream.write(utf8('x'))).rejects.toMatchObject({ code: 'io' })
      const second = await peers.api.keep({})
      second.stream.close()
      expect(await peers.kept().read()).toBeNull()
      await expect(peers.kept().write(utf8('x'))).rejects.toMatchObject({ code: 'disconnected' })
    })

    test('a close wakes a reader and a writer that wait', async () => {
      const { stream } = await peers.api.keep({})
      const reading = stream.read()
      const writing = stream.write(new Uint8Array(WINDOW + 1))
      await settle()
      peers.kept().close()
      expect(await reading).toBeNull()
      await expect(writing).rejects.toMatchObject({ code: 'disconnected' })
    })

    test('giving up an opening that hangs frees the server’s end too', async () => {
      const caller = new AbortController()
      const opening = peers.api.hangOpen({}, { signal: caller.signal })
      await until(() => peers.hanging.length === 1)
      caller.abort()
      await expect(opening).rejects.toMatchObject({ code: 'cancelled' })
      await until(() => peers.kept().closed)
    })

    test('giving up just when it opens leaves nothing open on the server', async () => {
      const caller = new AbortController()
      const opening = peers.api.keep({}, { signal: caller.signal })
      opening.catch(() => {})
      // The answer may be on its way already when the caller gives up.
      const opened = new Promise<void>((resolve) => pair.far.onMessage((message) => message.t === 'open' && resolve()))
      await opened
      caller.abort()
      await opening.then(
        ({ stream }) => stream.close(),
        () => {},
      )
      await until(() => peers.kept().closed)
    })
  })

  describe('the wire’s end', () => {
    test.each(['near', 'far'] as const)('closed at the %s end: what is pending fails, later calls too', async (end) => {
      const { stream } = await peers.api.keep({})
      const call = peers.api.hang({})
      const reading = stream.read()
      const writing = stream.write(new Uint8Array(WINDOW * 2))
      await until(() => peers.hanging.length === 1)
      const told = new Promise<void>((resolve) => peers.client.onClose(resolve))
      const server = peers.kept()
      pair[end].close()
      await expect(call).rejects.toMatchObject({ code: 'disconnected' })
      await expect(reading).rejects.toMatchObject({ code: 'disconnected' })
      await expect(writing).rejects.toMatchObject({ code: 'disconnected' })
      await told
      expect(peers.client.closed).toBe(true)
      await until(() => peers.hanging[0]!.signal.aborted && server.closed)
      await expect(peers.api.add({ a: 1, b: 1 })).rejects.toMatchObject({ code: 'disconnected' })
      await expect(peers.api.keep({})).rejects.toMatchObject({ code: 'disconnected' })
      peers.api.ticks(() => {}).dispose()
    })

    test('onClose fires once, whoever closes how often', async () => {
      let closes = 0
      pair.near.onClose(() => closes++)
      pair.near.close()
      pair.near.close()
      pair.far.close()
      await settle(10)
      expect(closes).toBe(1)
      expect(() => pair.near.post({ t: 'abort', id: 1 })).not.toThrow()
    })
  })

  test(`no more than ${MAX_OPEN_PER_WIRE} exchanges at once`, async () => {
    const caller = new AbortController()
    const hanging = Array.from({ length: MAX_OPEN_PER_WIRE }, () => peers.api.hang({}, { signal: caller.signal }).catch(() => {}))
    await until(() => peers.hanging.length === MAX_OPEN_PER_WIRE)
    await expect(peers.api.add({ a: 1, b: 1 })).rejects.toMatchObject({ code: 'busy' })
    await expect(peers.api.keep({})).rejects.toMatchObject({ code: 'busy' })
    caller.abort()
    await Promise.all(hanging)
    await until(() => peers.hanging.every(({ signal }) => signal.aborted))
    expect(await peers.api.add({ a: 1, b: 1 }).catch(() => peers.api.add({ a: 1, b: 1 }))).toBe(2)
  })

  test(`${name}: an id that is in use is refused and the exchange that has it goes on at the server`, async () => {
    const call = peers.api.hang({})
    await until(() => peers.hanging.length === 1)
    pair.near.post({ t: 'call', id: 1, service: 'test', method: 'nothing', input: {} })
    await expect(call).rejects.toMatchObject({ code: 'invalid-input' })
    expect(peers.hanging[0]!.signal.aborted).toBe(false)
    pair.near.post({ t: 'abort', id: 1 })
    await until(() => peers.hanging[0]!.signal.aborted)
  })
})
