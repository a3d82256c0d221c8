import { duplexPair, type Duplex } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LineParser } from '../../../../../src-main/engines/qemu/qmp/line-parser.ts'
import { parseMessage } from '../../../../../src-main/engines/qemu/qmp/messages.ts'
import { QmpClient } from '../../../../../src-main/engines/qemu/qmp/qmp-client.ts'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { withLeakCheck } from '../../../../support/leak-check.ts'

withLeakCheck()

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}\r\n'

describe('lines', () => {
  test('are cut anywhere and come out whole', () => {
    const text = 'zwölf\r\n\nеще\n'
    for (let size = 1; size < 8; size++) {
      const parser = new LineParser()
      const bytes = utf8(text)
      const lines: string[] = []
      for (let at = 0; at < bytes.length; at += size) lines.push(...parser.push(bytes.subarray(at, at + size)))
      expect(lines).toEqual(['zwölf', 'еще'])
    }
  })

  test('have a limit', () => {
    const parser = new LineParser(8)
    expect(parser.push(utf8('12345678\n'))).toEqual(['12345678'])
    parser.push(utf8('12345'))
    expect(() => parser.push(utf8('6789'))).toThrow(/more than 8 bytes/)
  })
})

describe('messages', () => {
  test('of each kind', () => {
    expect(parseMessage(GREETING)).toEqual({ kind: 'greeting', version: '7.2.22', package: 'Debian' })
    expect(parseMessage('{"return": {}, "id": 3}')).toEqual({ kind: 'return', id: 3, value: {} })
    expect(parseMessage('{"error": {"class": "GenericError", "desc": "no"}}')).toEqual({
      kind: 'error',
      id: null,
      class: 'GenericError',
      description: 'no',
    })
    expect(parseMessage('{"timestamp": {"seconds": 2, "microseconds": 5500}, "event": "RESET", "data": {"guest": true}}')).toEqual({
      kind: 'event',
      name: 'RESET',
      data: { guest: true },
      at: 2005,
    })
    expect(parseMessage('{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "STOP"}')).toMatchObject({ data: {}, at: 0 })
  })

  test.each([
    '',
    'null',
    '[]',
    '"QMP"',
    '{"return": {}}',
    '{"return": {}, "id": "x"}',
    '{"event": 4}',
    '{"error": 1, "id": 1}',
    '{"QMP": {}}',
    '{',
  ])('that are none: %j', (line) => expect(() => parseMessage(line)).toThrow(/does not speak its protocol/))
})

describe('a client', () => {
  let socket: Duplex
  let peer: Duplex
  /** Lines that QEMU got. */
  let got: Record<string, unknown>[]
  let waiting: (() => void) | null

  beforeEach(() => {
    ;[socket, peer] = duplexPair()
    got = []
    waiting = null
    const lines = new LineParser()
    peer.on('data', (bytes: Uint8Array) => {
      for (const line of lines.push(bytes)) got.push(JSON.parse(line) as Record<string, unknown>)
      waiting?.()
    })
    peer.on('error', () => {})
  })
  afterEach(() => {
    socket.destroy()
    peer.destroy()
  })

  const received = async (count: number): Promise<void> => {
    while (got.length < count) await new Promise<void>((resolve) => (waiting = resolve))
  }
  const open = async (): Promise<QmpClient> => {
    const opening = QmpClient.open(socket)
    peer.write(GREETING)
    await received(1)
    expect(got[0]).toEqual({ execute: 'qmp_capabilities', id: 1 })
    peer.write('{"return": {}, "id": 1}\r\n')
    const { client, greeting } = await opening
    expect(greeting.version).toBe('7.2.22')
    return client
  }

  test('gets answers out of order, with events in between', async () => {
    const client = await open()
    const events: string[] = []
    client.onEvent(({ name }) => events.push(name))
    const uuid = client.execute('query-uuid')
    const status = client.execute('query-status')
    await received(3)
    peer.write('{"return": {"status": "paused", "running": false, "singlestep": false}, "id": 3}\n')
    expect(await status).toEqual({ status: 'paused', running: false })
    peer.write('{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 1}}\n{"return": {"UUID": "u"}, "id": 2}\n')
    expect(await uuid).toEqual({ UUID: 'u' })
    expect(events).toEqual(['STOP'])
    client.dispose()
  })

  test('says what was refused, and by which name', async () => {
    const client = await open()
    const refused = client.execute('migrate', { uri: 'exec:x' })
    await received(2)
    expect(got[1]).toEqual({ execute: 'migrate', arguments: { uri: 'exec:x' }, id: 2 })
    peer.write('{"id": 2, "error": {"class": "GenericError", "desc": "spawn is denied"}}\n')
    await expect(refused).rejects.toMatchObject({ code: 'unavailable', message: 'QEMU refused “migrate”: spawn is denied.' })
    const unknown = client.execute('query-migrate')
    await received(3)
    peer.write('{"id": 3, "error": {"class": "CommandNotFound", "desc": "x"}}\n')
    await expect(unknown).rejects.toMatchObject({ code: 'unsupported' })
    const odd = client.execute('query-uuid')
    await received(4)
    peer.write('{"id": 4, "return": []}\n')
    await expect(odd).rejects.toMatchObject({ code: 'unsupported', details: { subject: 'query-uuid' } })
    client.dispose()
  })

  test('an aborted command frees its caller; its late answer is dropped', async () => {
    const client = await open()
    const stop = new AbortController()
    const silent = client.execute('stop', null, stop.signal)
    await received(2)
    stop.abort()
    await expect(silent).rejects.toMatchObject({ code: 'cancelled' })
    peer.write('{"return": {}, "id": 2}\n')
    const next = client.execute('cont')
    await received(3)
    peer.write('{"return": {}, "id": 3}\n')
    await next
    client.dispose()
  })

  test('a QEMU that goes away fails who waits, once, with a sentence', async () => {
    const client = await open()
    const closes: unknown[] = []
    client.onClose((error) => closes.push(error))
    const waits = client.execute('query-status')
    peer.end()
    await expect(waits).rejects.toMatchObject({ code: 'disconnected', message: 'QEMU ended before it answered “query-status”.' })
    await expect(client.execute('stop')).rejects.toMatchObject({ code: 'disconnected' })
    client.dispose()
    expect(closes).toEqual([null])
  })

  test.each(['no QMP at all\n', '{"return": {}, "id": 99}\n', '{"error": {"class": "GenericError", "desc": "bad JSON"}}\n'])(
    'one that misbehaves is given up: %j',
    async (line) => {
      const client = await open()
      const waits = client.execute('query-status')
      peer.write(line)
      await expect(waits).rejects.toBeInstanceOf(Error)
      expect(client.closed).toBe(true)
      expect(socket.destroyed).toBe(true)
    },
  )

  test('one that does not greet is waited for until the caller gives up', async () => {
    const stop = new AbortController()
    const opening = QmpClient.open(socket, stop.signal)
    stop.abort()
    await expect(opening).rejects.toMatchObject({ code: 'cancelled' })
    expect(socket.destroyed).toBe(true)
  })
})
