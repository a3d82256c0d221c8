/** Served mode as an attacker would try it: raw requests with every header under control, against a real server. */
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { serve, type Served } from '../../src-main/app/serve/serve.ts'
import { setCookie } from '../../src-main/app/serve/token.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import type { AppError } from '../../src-shared/errors/app-error.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { RpcServer } from '../../src-shared/rpc/server.ts'
import { call, defineService, event, type Peer } from '../../src-shared/rpc/service.ts'
import { webSocketWire, type WebSocketLike } from '../../src-shared/rpc/wires/web-socket-wire.ts'
import { tempFolder } from '../support/temp-folder.ts'

const probe = defineService('probe', {
  who: call(z.strictObject({})).returns<Peer['kind']>(),
  flood: event<string>(),
})

let folder: string
let served: Served
let flood: Emitter<string>

beforeEach(async () => {
  folder = await tempFolder()
  const renderer = path.join(folder, 'renderer')
  await mkdir(path.join(renderer, 'assets'), { recursive: true })
  await writeFile(path.join(renderer, 'index.html'), '<!doctype html><title>window</title>')
  await writeFile(path.join(renderer, 'assets/index-Ab12_-xY.js'), 'export {}')
  await writeFile(path.join(renderer, 'assets/index-Ab12_-xY.js.map'), '{}')
  await writeFile(path.join(folder, 'secret.txt'), 'secret')
  await symlink(path.join(folder, 'secret.txt'), path.join(renderer, 'linked.txt'))
  served = await serve({ server: probeServer() }, { port: 0, listen: '127.0.0.1', rendererFolder: renderer })
})

afterEach(async () => {
  await served.close()
})

function probeServer(): RpcServer {
  flood = new Emitter()
  const server = new RpcServer()
  server.register(probe, { who: (_input, { peer }) => peer.kind, flood: flood.event })
  return server
}

interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

/** A request exactly as given: no header is added but Host, and the path is not normalised. */
function request(target: string, headers: http.OutgoingHttpHeaders = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = http.request({ host: '127.0.0.1', port: served.port, path: target, method, headers, agent: false }, (incoming) => {
      let body = ''
      incoming.on('data', (chunk) => (body += chunk))
      incoming.on('end', () => resolve({ status: incoming.statusCode!, headers: incoming.headers, body }))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

const token = (): string => new URL(served.url).searchParams.get('token')!
const origin = (): string => `http://127.0.0.1:${served.port}`
const cookie = (): string => setCookie(served.port, token()).split(';', 1)[0]!

describe('the token', () => {
  test('is exchanged for a cookie and leaves the address', async () => {
    const answer = await request(`/?token=${token()}`)
    expect(answer).toMatchObject({ status: 303, headers: { location: '/', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' } })
    expect(answer.headers['set-cookie']).toEqual([setCookie(served.port, token())])
    const page = await request('/', { cookie: answer.headers['set-cookie']![0]!.split(';', 1)[0]! })
    expect(page).toMatchObject({ status: 200, body: '<!doctype html><title>window</title>' })
  })

  test('reaches the window from a link on another site too', async () => {
    const answer = await request(`/?token=${token()}`, { 'sec-fetch-site': 'cross-site' })
    expect(answer.status).toBe(200)
    expect(answer.body).toContain('content="0;url=/"')
    expect(answer.body).not.toContain(token())
  })

  test.each(['', 'x', 'A'.repeat(43), `A`.repeat(10_000)])('is refused with a sentence when wrong: %.20s', async (wrong) => {
    const answer = await request(`/?token=${wrong}`)
    expect(answer.status).toBe(401)
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.body).toContain('Open the address that Coppice printed')
  })

  test('of one host opens no other', async () => {
    const other = await serve({ server: probeServer() }, { port: 0, listen: '127.0.0.1', rendererFolder: path.join(folder, 'renderer') })
    try {
      expect(new URL(other.url).searchParams.get('token')).not.toBe(token())
      const foreign = cookie().replace(String(served.port), String(other.port))
      const answer = await fetch(`http://127.0.0.1:${other.port}/`, { headers: { cookie: foreign } })
      expect(answer.status).toBe(401)
    } finally {
      await other.close()
    }
  })

  test('can be for one browser alone', async () => {
    const once = await serve(
      { server: probeServer() },
      { port: 0, listen: '127.0.0.1', rendererFolder: path.join(folder, 'renderer'), once: true },
    )
    try {
      const first = await fetch(once.url, { redirect: 'manual' })
      expect(first.status).toBe(303)
      for (const method of ['GET', 'HEAD']) {
        const second = await fetch(once.url, { redirect: 'manual', method })
        expect([second.status, second.headers.getSetCookie()]).toEqual([401, []])
      }
      const cookie = first.headers.getSetCookie()[0]!.split(';', 1)[0]!
      expect((await fetch(new URL('/', once.url), { headers: { cookie } })).status).toBe(200)
    } finally {
      await once.close()
    }
  })

  test('without it or its cookie there is nothing but the sentence', async () => {
    for (const target of ['/', '/index.html', '/assets/index-Ab12_-xY.js', '/wire', '/nothing']) {
      const answer = await request(target)
      expect(answer).toMatchObject({ status: 401 })
      expect(answer.body).toContain('needs its token')
    }
  })
})

describe('every answer', () => {
  test.each(['/', '/nothing', '/?token=x'])('of %s carries the security headers', async (target) => {
    const { headers } = await request(target, { cookie: cookie() })
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; /)
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(headers['content-security-policy']).not.toMatch(/script-src[^;]*unsafe|\*|https?:/)
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    })
    expect(headers['access-control-allow-origin']).toBeUndefined()
    expect(headers['x-powered-by']).toBeUndefined()
  })
})

describe('names and origins', () => {
  test('a rebound name is refused, also with the token', async () => {
    const answer = await request(`/?token=${token()}`, { host: `evil.example:${served.port}` })
    expect(answer.status).toBe(421)
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.body).toContain('The request names another computer. Open the address that Coppice printed when it started.')
  })

  test('other methods: foreign origins are refused, ours are told what is allowed', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const foreign = await request('/', { cookie: cookie(), origin: 'http://evil.example' }, method)
      expect(foreign.status).toBe(403)
      expect(foreign.body).toContain('The request comes from a page that does not belong to Coppice.')
      expect(await request('/', { cookie: cookie() }, method)).toMatchObject({ status: 403 })
      expect(await request('/', { cookie: cookie(), origin: origin() }, method)).toMatchObject({
        status: 405,
        headers: { allow: 'GET, HEAD' },
      })
    }
  })
})

describe('files', () => {
  test.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/..%5csecret.txt',
    '//etc/passwd',
    '/assets/',
    '/assets',
    '/linked.txt',
    '/assets/index-Ab12_-xY.js.map',
    '/assets/index-Ab12_-xY.js%00',
    '/__proto__',
    '/constructor',
  ])('%s is not there', async (target) => {
    expect(await request(target, { cookie: cookie() })).toMatchObject({ status: 404 })
  })

  test('a request to a proxy is not ours', async () => {
    expect(await request('http://evil.example/', { cookie: cookie() })).toMatchObject({ status: 404 })
  })

  test('hashed ones are kept for good, the page is asked for again and answered by its tag', async () => {
    const asset = await request('/assets/index-Ab12_-xY.js', { cookie: cookie() })
    expect(asset).toMatchObject({ status: 200, body: 'export {}', headers: { 'content-type': 'text/javascript; charset=utf-8' } })
    expect(asset.headers['cache-control']).toBe('private, max-age=31536000, immutable')
    const page = await request('/', { cookie: cookie() })
    expect(page.headers['cache-control']).toBe('private, no-cache')
    expect(await request('/', { cookie: cookie(), 'if-none-match': page.headers.etag })).toMatchObject({ status: 304, body: '' })
  })

  test('HEAD tells the length and sends nothing', async () => {
    expect(await request('/', { cookie: cookie() }, 'HEAD')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '36' } })
  })
})

describe('the wire', () => {
  function dial(
    headers: Record<string, string>,
    target = '/wire',
    protocolOrigin: string | undefined = origin(),
  ): Promise<WebSocket | number> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${served.port}${target}`, {
        headers,
        ...(protocolOrigin ? { origin: protocolOrigin } : {}),
      })
      socket.on('open', () => resolve(socket))
      socket.on('unexpected-response', (_request, response) => {
        resolve(response.statusCode!)
        response.destroy()
      })
      socket.on('error', reject)
    })
  }

  test('reaches the host as a window', async () => {
    const socket = (await dial({ cookie: cookie() })) as WebSocket
    const client = new RpcClient(webSocketWire(socket as unknown as WebSocketLike))
    expect(await client.service(probe).who({})).toBe('window')
    expect(served.windows()).toBe(1)
    client.dispose()
    await expect.poll(() => served.windows()).toBe(0)
  })

  test('is refused without cookie, from another origin, under another name, elsewhere', async () => {
    expect(await dial({})).toBe(401)
    expect(await dial({ cookie: `coppice-${served.port}=${token()}` })).toBe(401)
    expect(await dial({ cookie: cookie() }, '/wire', 'http://evil.example')).toBe(403)
    expect(await dial({ cookie: cookie() }, '/wire', 'null')).toBe(403)
    expect(await dial({ cookie: cookie() }, '/wire', '')).toBe(403)
    expect(await dial({ cookie: cookie(), host: 'evil.example' })).toBe(421)
    expect(await dial({ cookie: cookie() }, '/other')).toBe(404)
    expect(await dial({ cookie: cookie() }, `/wire?token=${token()}`)).toBe(404)
  })

  test('closes on what is not a frame, and the host goes on', async () => {
    for (const junk of ['text', Buffer.from([1]), Buffer.from([255, 255, 255, 255, 0]), Buffer.from('\0\0\0\x02{}')]) {
      const socket = (await dial({ cookie: cookie() })) as WebSocket
      const closed = new Promise<number>((resolve) => socket.on('close', resolve))
      socket.send(junk)
      expect(await closed).toBe(1002)
    }
    expect((await request('/', { cookie: cookie() })).status).toBe(200)
  })

  test('has a largest message', async () => {
    const socket = (await dial({ cookie: cookie() })) as WebSocket
    const closed = new Promise<number>((resolve) => socket.on('close', resolve))
    socket.on('error', () => {})
    socket.send(Buffer.alloc(17 * 1024 * 1024))
    expect(await closed).toBe(1009)
  })

  test('a window that never answers pings, and one that never reads, are let go', async () => {
    await served.close()
    served = await serve(
      { server: probeServer() },
      {
        port: 0,
        listen: '127.0.0.1',
        rendererFolder: path.join(folder, 'renderer'),
        socketLimits: { heartbeatMs: 50, maxUnsent: 1024 * 1024 },
      },
    )
    const mute = net.connect(served.port, '127.0.0.1')
    mute.write(
      `GET /wire HTTP/1.1\r\nHost: 127.0.0.1:${served.port}\r\nOrigin: ${origin()}\r\nCookie: ${cookie()}\r\n` +
        'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    )
    await new Promise((resolve) => mute.once('data', resolve))
    expect(served.windows()).toBe(1)
    mute.resume()
    await new Promise((resolve) => mute.once('close', resolve))

    const lazy = (await dial({ cookie: cookie() })) as WebSocket
    const client = new RpcClient(webSocketWire(lazy as unknown as WebSocketLike))
    client.service(probe).flood(() => {})
    await client.service(probe).who({})
    lazy.pause()
    const text = 'x'.repeat(256 * 1024)
    await expect
      .poll(() => {
        flood.fire(text)
        return served.windows()
      })
      .toBe(0)
    lazy.terminate()
  })

  test('windows have a largest number', async () => {
    const sockets = (await Promise.all(Array.from({ length: 64 }, () => dial({ cookie: cookie() })))) as WebSocket[]
    expect(await dial({ cookie: cookie() })).toBe(503)
    for (const socket of sockets) socket.terminate()
  })
})

describe('listening', () => {
  const tryServe = (options: { port?: number; listen?: string; rendererFolder?: string; token?: string }): Promise<Served> =>
    serve({ server: probeServer() }, { port: 0, listen: '127.0.0.1', rendererFolder: path.join(folder, 'renderer'), ...options })

  test('on a port in use fails with a sentence that names it', async () => {
    const failure = await tryServe({ port: served.port }).catch((error: AppError) => error as AppError)
    expect(failure).toMatchObject({
      code: 'unavailable',
      message: `Another program uses port ${served.port} on 127.0.0.1. Choose another port, or 0 for any free one.`,
    })
  })

  test('on an address of another computer fails with a sentence', async () => {
    await expect(tryServe({ listen: '192.0.2.1' })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'This computer has no address 192.0.2.1. Use 127.0.0.1, or an address of this computer.',
    })
  })

  test.each(['', ' '])('on no address is not on every address: “%s”', async (listen) => {
    await expect(tryServe({ listen })).rejects.toMatchObject({
      code: 'invalid-input',
      message: 'The address to listen on is empty. Use 127.0.0.1 for this computer alone.',
    })
  })

  test('a window that was not built is said so', async () => {
    await expect(tryServe({ rendererFolder: path.join(folder, 'absent') })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('not built'),
    })
    await expect(tryServe({ rendererFolder: folder })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('index.html'),
    })
  })

  test('a given token has to be long', async () => {
    await expect(tryServe({ token: 'short' })).rejects.toMatchObject({ code: 'invalid-input' })
    const again = await tryServe({ token: token() })
    expect(new URL(again.url).searchParams.get('token')).toBe(token())
    await again.close()
  })

  test('beyond loopback warns; on loopback does not', async () => {
    expect(served.warning).toBeNull()
    const open = await tryServe({ listen: '0.0.0.0' })
    expect(open.warning).toContain('not encrypted')
    await open.close()
  })

  test('closing ends windows and frees the port', async () => {
    const { port } = served
    await served.close()
    served = await tryServe({ port })
    expect(served.port).toBe(port)
  })
})
