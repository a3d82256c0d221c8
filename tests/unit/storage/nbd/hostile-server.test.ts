/** An NBD server that lies: every answer is an error or right, and nothing waits for ever. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ByteSource } from '../../../../src-main/storage/nbd/byte-source.ts'
import { openNbdDisk } from '../../../../src-main/storage/nbd/nbd-disk.ts'
import {
  ALLOCATION,
  CHUNK,
  CHUNK_MAGIC,
  COMMAND,
  FIRST_ERROR,
  FLAG,
  INFO,
  LAST_CHUNK,
  NBD_MAGIC,
  OPTION,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  REPLY,
  SIMPLE_REPLY_MAGIC,
} from '../../../../src-main/storage/nbd/protocol.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { DiskImage } from '../../../../src-main/storage/disk-image.ts'
import { seeded } from '../../../support/seeded.ts'

const SIZE = 1024 * 1024

function numbers(...fields: [bytes: 2 | 4 | 8, value: number | bigint][]): Buffer {
  return Buffer.concat(
    fields.map(([bytes, value]) => {
      const field = Buffer.alloc(bytes)
      if (bytes === 8) field.writeBigUInt64BE(BigInt(value))
      else field.writeUIntBE(Number(value), 0, bytes)
      return field
    }),
  )
}
const greeting = (flags = 3) => numbers([8, NBD_MAGIC], [8, OPTION_MAGIC], [2, flags])
const answer = (option: number, kind: number, data: Uint8Array = Buffer.alloc(0)) =>
  Buffer.concat([numbers([8, OPTION_REPLY_MAGIC], [4, option], [4, kind], [4, data.length]), data])
const exported = (size: number | bigint = SIZE, flags = 0x6d) =>
  answer(OPTION.go, REPLY.info, numbers([2, INFO.export], [8, size], [2, flags]))
const blockSizes = (min: number, max: number) => answer(OPTION.go, REPLY.info, numbers([2, INFO.blockSize], [4, min], [4, min], [4, max]))
const chunk = (cookie: bigint, type: number, data: Uint8Array, flags = LAST_CHUNK) =>
  Buffer.concat([numbers([4, CHUNK_MAGIC], [2, flags], [2, type], [8, cookie], [4, data.length]), data])

interface Request {
  command: number
  cookie: bigint
  offset: number
  length: number
}

interface Lies {
  greeting?: Buffer
  /** To each option; null: as it should be. */
  option?(kind: number): Buffer | null
  /** To each request; null: no answer. */
  request?(request: Request): Buffer | null
}

/** A server that keeps to the protocol but for what is said. @returns its address */
async function server(lies: Lies = {}): Promise<string> {
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    void serve(socket, lies).catch(() => socket.destroy())
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return `nbd://127.0.0.1:${(listener.address() as { port: number }).port}/x`
}

async function serve(socket: Socket, lies: Lies): Promise<void> {
  const source = new ByteSource(socket, () => new AppError('disconnected', 'Gone.'))
  socket.write(lies.greeting ?? greeting())
  await source.take(4)
  for (let kind = 0; kind !== OPTION.go;) {
    const head = await source.take(16)
    kind = head.readUInt32BE(8)
    await source.take(head.readUInt32BE(12))
    socket.write(lies.option?.(kind) ?? honest(kind))
  }
  for (;;) {
    const head = await source.take(28)
    const request = {
      command: head.readUInt16BE(6),
      cookie: head.readBigUInt64BE(8),
      offset: Number(head.readBigUInt64BE(16)),
      length: head.readUInt32BE(24),
    }
    if (request.command === COMMAND.disconnect) return void socket.end()
    if (request.command === COMMAND.write) await source.take(request.length)
    const reply = lies.request ? lies.request(request) : good(request)
    if (reply) socket.write(reply)
  }
}

function honest(kind: number): Buffer {
  if (kind === OPTION.go) return Buffer.concat([exported(), answer(kind, REPLY.ack)])
  if (kind === OPTION.setMetaContext)
    return Buffer.concat([
      answer(kind, REPLY.metaContext, Buffer.concat([numbers([4, 7]), Buffer.from(ALLOCATION)])),
      answer(kind, REPLY.ack),
    ])
  return answer(kind, REPLY.ack)
}

function good({ command, cookie, offset, length }: Request): Buffer {
  if (command === COMMAND.read) return chunk(cookie, CHUNK.data, Buffer.concat([numbers([8, offset]), Buffer.alloc(length, 0xaa)]))
  if (command === COMMAND.blockStatus) return chunk(cookie, CHUNK.blockStatus, numbers([4, 7], [4, length], [4, 0]))
  return chunk(cookie, CHUNK.none, Buffer.alloc(0))
}

async function open(lies: Lies = {}, readOnly = false): Promise<DiskImage> {
  const disk = await openNbdDisk(await server(lies), { readOnly, patience: 200 })
  onTestFinished(() => disk.close().catch(() => {}))
  return disk
}
const inOption = (which: number, bytes: Buffer): Lies => ({ option: (kind) => (kind === which ? bytes : null) })

describe('a server that keeps to the protocol', () => {
  test('serves, with what it has', async () => {
    const disk = await open()
    const into = new Uint8Array(3000)
    await disk.read(5, into)
    expect(new Set(into)).toEqual(new Set([0xaa]))
    await Promise.all([disk.write(0, into), disk.writeZeroes(9000, 100), disk.discard(0, 4096), disk.flush()])
    expect(await disk.extent(0, 100)).toEqual({ length: 100, state: 'data' })
  })

  test('and knows no more than the least: no structured replies, no NBD_OPT_GO, no flush', async () => {
    const refuse = (kind: number) => answer(kind, FIRST_ERROR + 1)
    const lies: Lies = {
      option: (kind) => (kind === OPTION.exportName ? null : refuse(kind)),
      request: ({ command, cookie, length }) =>
        Buffer.concat([numbers([4, SIMPLE_REPLY_MAGIC], [4, 0], [8, cookie]), Buffer.alloc(command === COMMAND.read ? length : 0, 0xbb)]),
    }
    const sizes = Buffer.concat([numbers([8, SIZE], [2, FLAG.hasFlags])])
    const address = await server({
      ...lies,
      option: (kind) => (kind === OPTION.go ? Buffer.concat([refuse(kind), sizes]) : lies.option!(kind)),
    })
    // The server above ends its options with NBD_OPT_GO; what the client asks next (the export by name, 17 bytes) it takes for a part of a request.
    const disk = await openNbdDisk(address, { readOnly: true })
    onTestFinished(() => disk.close().catch(() => {}))
    expect(disk.info).toEqual({ size: SIZE, readOnly: true, format: 'raw' })
    expect(await disk.extent(0, 77)).toEqual({ length: 77, state: 'data' })
  })

  test('refuses with its reason', async () => {
    const refusing = (code: number) =>
      open({
        request: ({ command, cookie }) =>
          command === COMMAND.flush
            ? good({ command, cookie, offset: 0, length: 0 })
            : chunk(cookie, CHUNK.firstError + 1, Buffer.concat([numbers([4, code], [2, 4]), Buffer.from('Why.')])),
      })
    await expect((await refusing(28)).write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'no-space' })
    await expect((await refusing(5)).read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'io', details: { technical: 'Why.' } })
    await expect((await refusing(999)).read(0, new Uint8Array(1))).rejects.toMatchObject({
      message: expect.stringContaining('error 999') as string,
    })
  })
})

describe('a server that lies at the beginning', () => {
  test.each<[string, Lies, string, string]>([
    ['another greeting', { greeting: Buffer.from('SSH-2.0-OpenSSH_9.2p1 ') }, 'corrupt', 'no NBD server'],
    ['the old style', { greeting: greeting(0) }, 'unsupported', 'before 2011'],
    ['an answer to another option', inOption(OPTION.structuredReply, answer(OPTION.go, REPLY.ack)), 'corrupt', 'not asked'],
    [
      'an answer without end',
      inOption(OPTION.structuredReply, numbers([8, OPTION_REPLY_MAGIC], [4, OPTION.structuredReply], [4, 1], [4, 0xffffffff])),
      'corrupt',
      'no end',
    ],
    ['answers without end', inOption(OPTION.go, Buffer.concat(Array.from({ length: 100 }, () => exported()))), 'corrupt', 'no end'],
    ['no size', inOption(OPTION.go, answer(OPTION.go, REPLY.ack)), 'corrupt', 'how large'],
    ['no bytes', inOption(OPTION.go, Buffer.concat([exported(0), answer(OPTION.go, REPLY.ack)])), 'corrupt', '0 bytes'],
    [
      'a size that no disk has',
      inOption(OPTION.go, Buffer.concat([exported(2n ** 63n), answer(OPTION.go, REPLY.ack)])),
      'corrupt',
      'no disk has',
    ],
    [
      'odd blocks',
      inOption(OPTION.go, Buffer.concat([exported(), blockSizes(3, 10), answer(OPTION.go, REPLY.ack)])),
      'corrupt',
      'do not fit',
    ],
    [
      'blocks larger than themselves',
      inOption(OPTION.go, Buffer.concat([exported(), blockSizes(4096, 512), answer(OPTION.go, REPLY.ack)])),
      'corrupt',
      'do not fit',
    ],
    ['TLS', inOption(OPTION.go, answer(OPTION.go, FIRST_ERROR + 5)), 'unsupported', 'wants TLS'],
    ['no such export', inOption(OPTION.go, answer(OPTION.go, FIRST_ERROR + 6, Buffer.from('none here'))), 'not-found', 'none here'],
    ['not for you', inOption(OPTION.go, answer(OPTION.go, FIRST_ERROR + 2)), 'denied', 'does not give'],
    ['an error that nobody knows', inOption(OPTION.go, answer(OPTION.go, FIRST_ERROR + 77)), 'unavailable', 'error 77'],
    ['for reading only', inOption(OPTION.go, Buffer.concat([exported(SIZE, 3), answer(OPTION.go, REPLY.ack)])), 'denied', 'read only'],
  ])('%s', async (_, lies, code, part) => {
    await expect(open(lies)).rejects.toMatchObject({ code, message: expect.stringContaining(part) as string })
  })
})

describe('a server that lies later', () => {
  const read = (cookie: bigint, offset: number, length: number, flags = LAST_CHUNK) =>
    chunk(cookie, CHUNK.data, Buffer.concat([numbers([8, offset]), Buffer.alloc(length)]), flags)
  test.each<[string, (request: Request) => Buffer]>([
    ['no reply’s beginning', () => Buffer.from('nonsense that is long enough')],
    ['a reply to nobody', () => chunk(999n, CHUNK.none, Buffer.alloc(0))],
    ['data before what was asked for', ({ cookie, offset, length }) => read(cookie, offset - 1, length)],
    ['data behind what was asked for', ({ cookie, offset, length }) => read(cookie, offset + length, 1)],
    ['more data than was asked for', ({ cookie, offset, length }) => read(cookie, offset, length + 1)],
    ['the same data twice', ({ cookie, offset, length }) => Buffer.concat([read(cookie, offset, length, 0), read(cookie, offset, length)])],
    ['less data than was asked for', ({ cookie, offset, length }) => read(cookie, offset, length - 1)],
    ['no data', ({ cookie }) => chunk(cookie, CHUNK.none, Buffer.alloc(0))],
    ['a hole larger than what was asked for', ({ cookie, offset }) => chunk(cookie, CHUNK.hole, numbers([8, offset], [4, 0xffffffff]))],
    ['a hole that is none', ({ cookie }) => chunk(cookie, CHUNK.hole, Buffer.alloc(3))],
    ['a chunk without end', ({ cookie }) => numbers([4, CHUNK_MAGIC], [2, 1], [2, CHUNK.blockStatus], [8, cookie], [4, 0xffffffff])],
    ['a chunk that nobody knows', ({ cookie }) => chunk(cookie, 77, Buffer.alloc(9))],
    [
      'data in a reply without room for it',
      ({ cookie, length }) => Buffer.concat([numbers([4, SIMPLE_REPLY_MAGIC], [4, 0], [8, cookie]), Buffer.alloc(length)]),
    ],
    ['a run of blocks to a read', ({ cookie }) => chunk(cookie, CHUNK.blockStatus, numbers([4, 7], [4, 1], [4, 0]))],
  ])('%s', async (_, request) => {
    const disk = await open({ request })
    await expect(disk.read(4096, new Uint8Array(512))).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('breaks the protocol') as string,
    })
    // Nothing is believed any more.
    await expect(disk.read(4096, new Uint8Array(512))).rejects.toMatchObject({ code: 'corrupt' })
  })

  test.each<[string, (request: Request) => Buffer, number]>([
    ['an empty run', ({ cookie }) => chunk(cookie, CHUNK.blockStatus, numbers([4, 7], [4, 0], [4, 0])), 0],
    ['a run longer than asked for', ({ cookie }) => chunk(cookie, CHUNK.blockStatus, numbers([4, 7], [4, 0xffffffff], [4, 3])), 512],
    ['nothing', ({ cookie }) => chunk(cookie, CHUNK.none, Buffer.alloc(0)), 512],
    ['of another context', ({ cookie }) => chunk(cookie, CHUNK.blockStatus, numbers([4, 8], [4, 4], [4, 3])), 512],
  ])('where data is: %s', async (_, request, length) => {
    const extent = (await open({ request })).extent(0, 512)
    if (length === 0) await expect(extent).rejects.toMatchObject({ code: 'corrupt' })
    else expect((await extent).length).toBe(length)
  })

  test('a connection that ends in the middle of data: it is asked for again', async () => {
    let times = 0
    const disk = await open({
      request: (request) => {
        if (request.command !== COMMAND.read || times++ > 0) return good(request)
        throw new Error('The server dies.')
      },
    })
    const into = new Uint8Array(512)
    await disk.read(0, into)
    expect([times, into[511]]).toEqual([2, 0xaa])
  })

  test('any bytes in place of a reply', async () => {
    const random = seeded(11)
    for (let round = 0; round < 40; round++) {
      const disk = await open({
        request: (request) => {
          const reply = Buffer.from(good(request))
          for (let times = 0; times < 3; times++) reply[random(Math.min(reply.length, 40))] = random(256)
          // What is short of bytes would be waited for.
          return Buffer.concat([reply, Buffer.alloc(70_000, random(256))])
        },
      })
      await disk.read(0, new Uint8Array(512)).catch((error: unknown) => expect(error).toBeInstanceOf(AppError))
      await disk.close().catch(() => {})
    }
  })
})
