/** One question to another server, over UDP from a port of its own (RFC 5452, 9.2), or over TCP (RFC 7766). */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { Clock } from '../../clock.ts'
import { frameMessage, splitMessages } from './tcp-messages.ts'

export interface DnsUpstream {
  /** With its zone where it is link-local. */
  address: string
  port: number
}

/** What came back, or why nothing did. */
export type Exchanged = Uint8Array<ArrayBuffer> | 'timeout' | 'unreachable'

export interface ExchangeOptions {
  /** ms */
  timeout: number
  clock: Clock
  /** The answer; what is not one is passed over, for who guesses must not end the wait. */
  accept: (bytes: Uint8Array) => boolean
  signal: AbortSignal
}

/** Never rejects. */
export function exchangeUdp(
  { address, port }: DnsUpstream,
  query: Uint8Array,
  { timeout, clock, accept, signal }: ExchangeOptions,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const finish = (result: Exchanged): void => {
      timer.dispose()
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners().on('error', () => {})
      socket.close()
      resolve(result)
    }
    const onAbort = (): void => finish('unreachable')
    const timer = clock.after(timeout, () => finish('timeout'))
    socket.on('error', () => finish('unreachable'))
    socket.on('message', (message) => {
      if (accept(message)) finish(Uint8Array.from(message))
    })
    // Connected: the system passes on what comes from this server alone, and says when nobody listens.
    socket.on('connect', () => socket.send(query))
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) finish('unreachable')
    else socket.connect(port, address)
  })
}

/** Never rejects. */
export function exchangeTcp(
  { address, port }: DnsUpstream,
  query: Uint8Array,
  { timeout, clock, accept, signal }: ExchangeOptions,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, noDelay: true })
    const messages = splitMessages()
    const finish = (result: Exchanged): void => {
      timer.dispose()
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners().on('error', () => {})
      socket.destroy()
      resolve(result)
    }
    const onAbort = (): void => finish('unreachable')
    const timer = clock.after(timeout, () => finish('timeout'))
    socket.on('error', () => finish('unreachable'))
    socket.on('close', () => finish('unreachable'))
    socket.on('data', (bytes) => {
      for (const message of messages(bytes)) {
        if (accept(message)) finish(message)
        else finish('unreachable')
        return
      }
    })
    socket.on('connect', () => socket.write(frameMessage(query)))
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) finish('unreachable')
  })
}
