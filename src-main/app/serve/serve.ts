/**
 * Served mode: the window over HTTP, its wire over a WebSocket of the same origin.
 *
 * What a request must pass, in this order:
 *   1. Host is one of our addresses (DNS rebinding).
 *   2. For a WebSocket and every method but GET and HEAD: Origin is ours (cross-site requests carry the cookie only where SameSite=Strict fails).
 *   3. The cookie is right; it is given out in exchange for the token in the address.
 * Then it gets a file from a fixed list, or a wire to the host. There is no other path.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { RpcServer } from '../../../src-shared/rpc/server.ts'
import { MAX_FRAME } from '../../../src-shared/rpc/wires/frames.ts'
import { acceptedHosts, isLoopback, isOwnHost, isOwnOrigin, shownHost } from './addresses.ts'
import { SECURITY_HEADERS } from './headers.ts'
import { PAGES, renderForward, renderPage, type Page } from './pages.ts'
import { cookieName, cookieValue, newToken, readCookie, sameSecret, setCookie } from './token.ts'
import { readWindowFiles, type WindowFile, type WindowFiles } from './window-files.ts'
import { WINDOW_SOCKET_LIMITS, windowWire, type WindowSocketLimits } from './window-socket.ts'

export interface ServeOptions {
  /** 0: any free one. */
  port: number
  /** The address to listen on; anything but loopback lets others try their luck with the token, over plain HTTP. */
  listen: string
  rendererFolder: string
  /** For restarts under the same address (`npm run dev`); absent: a new one. At least SHORTEST_TOKEN characters. */
  token?: string
  /**
   * The token is good for one browser: for an address that other users of this computer can see, as among a program's arguments. Absent: it is good
   * for any number.
   */
  once?: boolean
  socketLimits?: WindowSocketLimits
}

export interface Served {
  /** With its token. */
  url: string
  port: number
  /** Sentence to show where listening is more than loopback; null else. */
  warning: string | null
  /** Windows that are connected now. */
  windows(): number
  close(): Promise<void>
}

/** Windows (with their tabs) at a time. */
const MAX_WINDOWS = 64
const SHORTEST_TOKEN = 32
const ONE_YEAR_S = 31_536_000

/** @throws AppError `unavailable` for a port or address that cannot be had, or a window that was not built */
export async function serve(host: { readonly server: RpcServer }, options: ServeOptions): Promise<Served> {
  const token = options.token ?? newToken()
  if (token.length < SHORTEST_TOKEN) throw new AppError('invalid-input', `The token is too short: it needs ${SHORTEST_TOKEN} characters.`)
  const files = await readWindowFiles(options.rendererFolder)
  const server = http.createServer()
  await listen(server, options)
  const { port } = server.address() as AddressInfo
  const gate = new Gate(acceptedHosts(options.listen, port), port, token, options.once === true)
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME, perMessageDeflate: false, clientTracking: true })

  server.on('request', (request, response) => answer(request, response, gate, files))
  server.on('upgrade', (request, connection, head) => {
    connection.on('error', () => connection.destroy())
    const refused = gate.refuseUpgrade(request, sockets.clients.size)
    if (refused) return refuse(connection, refused)
    sockets.handleUpgrade(request, connection, head, (socket) => connect(host.server, socket, options.socketLimits))
  })
  server.on('clientError', (_error, connection) => connection.destroy())
  // A connection that the system could not take (it has no more memory for it): the others go on.
  server.on('error', () => {})

  return {
    url: `http://${shownHost(options.listen)}:${port}/?token=${token}`,
    port,
    warning: isLoopback(options.listen)
      ? null
      : `Coppice listens on ${options.listen}: everyone who can reach it and learns the address with its token controls these machines, and what passes is not encrypted.`,
    windows: () => sockets.clients.size,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate()
      sockets.close()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function listen(server: http.Server, options: ServeOptions): Promise<void> {
  // To the system an empty address is every address.
  if (options.listen.trim() === '')
    throw new AppError('invalid-input', 'The address to listen on is empty. Use 127.0.0.1 for this computer alone.')
  try {
    server.listen({ port: options.port, host: options.listen })
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const where = `port ${options.port} on ${options.listen}`
    const sentence =
      code === 'EADDRINUSE'
        ? `Another program uses ${where}. Choose another port, or 0 for any free one.`
        : code === 'EACCES'
          ? `You have no right to ${where}. Choose a port above 1023, or 0 for any free one.`
          : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
            ? `This computer has no address ${options.listen}. Use 127.0.0.1, or an address of this computer.`
            : `Coppice cannot listen on ${where}.`
    throw new AppError('unavailable', sentence, { subject: `${options.listen}:${options.port}` }, error)
  }
}

/** Decides who gets in. Knows headers, no sockets. */
class Gate {
  #hosts: ReadonlySet<string>
  #port: number
  #token: string
  #once: boolean
  #used = false

  constructor(hosts: ReadonlySet<string>, port: number, token: string, once: boolean) {
    this.#hosts = hosts
    this.#port = port
    this.#token = token
    this.#once = once
  }

  /** The page of refusal, `exchange` for a request with the right token, or null: let in. */
  decide(request: http.IncomingMessage, url: URL): Page | 'exchange' | null {
    if (!isOwnHost(request.headers.host, this.#hosts)) return PAGES.wrongHost
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return isOwnOrigin(request.headers.origin, this.#hosts) ? PAGES.wrongMethod : PAGES.wrongOrigin
    const token = url.searchParams.get('token')
    if (token !== null) return url.pathname === '/' && this.#accepts(token) ? 'exchange' : PAGES.noAccess
    return this.#hasCookie(request) ? null : PAGES.noAccess
  }

  #accepts(token: string): boolean {
    if ((this.#once && this.#used) || !sameSecret(token, this.#token)) return false
    this.#used = true
    return true
  }

  refuseUpgrade(request: http.IncomingMessage, windows: number): 400 | 401 | 403 | 404 | 421 | 503 | null {
    if (!isOwnHost(request.headers.host, this.#hosts)) return 421
    if (!isOwnOrigin(request.headers.origin, this.#hosts)) return 403
    if (request.method !== 'GET' || request.headers.upgrade?.toLowerCase() !== 'websocket') return 400
    if (!this.#hasCookie(request)) return 401
    if (request.url !== '/wire') return 404
    return windows >= MAX_WINDOWS ? 503 : null
  }

  cookie(): string {
    return setCookie(this.#port, this.#token)
  }

  #hasCookie(request: http.IncomingMessage): boolean {
    const cookie = readCookie(request.headers.cookie, cookieName(this.#port))
    return cookie !== null && sameSecret(cookie, cookieValue(this.#token))
  }
}

function answer(request: http.IncomingMessage, response: http.ServerResponse, gate: Gate, files: WindowFiles): void {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value)
  const url = parseUrl(request.url)
  if (!url) return sendPage(request, response, PAGES.notFound)
  const decision = gate.decide(request, url)
  if (decision === 'exchange') return exchange(request, response, gate)
  if (decision) return sendPage(request, response, decision)
  const file = files.get(url.pathname)
  if (file) sendFile(request, response, file)
  else sendPage(request, response, PAGES.notFound)
}

/** Request targets are origin-form (RFC 9112 section 3.2.1); anything else, like a full URL to a proxy, is nothing of ours. */
function parseUrl(target: string | undefined): URL | null {
  if (!target?.startsWith('/')) return null
  try {
    return new URL(`http://host${target}`)
  } catch {
    return null
  }
}

/**
 * Token for cookie, then on to the address without it. A browser that comes from another site (a link in a web page) does not send a
 * SameSite=Strict cookie along redirects, so it goes on from a page of our own instead.
 */
function exchange(request: http.IncomingMessage, response: http.ServerResponse, gate: Gate): void {
  response.setHeader('Set-Cookie', gate.cookie())
  response.setHeader('Cache-Control', 'no-store')
  if (request.headers['sec-fetch-site'] === 'cross-site') return sendHtml(request, response, 200, renderForward())
  response.writeHead(303, { Location: '/' }).end()
}

function sendPage(request: http.IncomingMessage, response: http.ServerResponse, page: Page): void {
  if (page.status === 405) response.setHeader('Allow', 'GET, HEAD')
  response.setHeader('Cache-Control', 'no-store')
  sendHtml(request, response, page.status, renderPage(page))
}

function sendHtml(request: http.IncomingMessage, response: http.ServerResponse, status: number, html: string): void {
  response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': Buffer.byteLength(html) })
  response.end(request.method === 'HEAD' ? undefined : html)
}

function sendFile(request: http.IncomingMessage, response: http.ServerResponse, file: WindowFile): void {
  response.setHeader('ETag', file.etag)
  response.setHeader('Cache-Control', file.immutable ? `private, max-age=${ONE_YEAR_S}, immutable` : 'private, no-cache')
  if (request.headers['if-none-match'] === file.etag) {
    response.writeHead(304).end()
    return
  }
  response.writeHead(200, { 'Content-Type': file.type, 'Content-Length': file.bytes.length })
  response.end(request.method === 'HEAD' ? undefined : file.bytes)
}

function refuse(connection: Duplex, status: number): void {
  connection.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function connect(server: RpcServer, socket: WebSocket, limits: WindowSocketLimits = WINDOW_SOCKET_LIMITS): void {
  const attached = server.attach(windowWire(socket, limits), { kind: 'window' })
  socket.once('close', () => attached.dispose())
  // An error is followed by `close`; unheard it would end the host.
  socket.on('error', () => {})
}
