/**
 * Theory of operation: UDP of machines to outside.
 *
 * Each address and port of a machine has one socket of the host, whomever it talks to (endpoint-independent mapping, RFC 4787, 4.1), and gets what those send to it whose
 * address it has sent to (address-dependent filtering, 5): so a server may answer from another port, and a stranger does not get in. Sockets are given up after two minutes
 * without a datagram, five once the flow has gone both ways (RFC 4787, 4.3).
 *
 * Questions to DNS and NTP, which are answered from where they went, have a connected socket for each server: the system tells those of a refusal, which the machine gets as
 * port unreachable. They are given up after some seconds. Of all other flows nothing is known of refusals: an unconnected socket is not told.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { formatIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import type { CardShare } from '../../card-share.ts'
import { PROTOCOL } from '../../codec/ip.ts'
import { buildUdp, parseUdp, type UdpDatagram } from '../../codec/udp.ts'
import type { IncomingPacket, IpOutput, Refusal } from '../../ip-output.ts'
import { keepToRefuse } from '../kept-packet.ts'
import { MAX_UDP_FLOWS, MAX_UDP_FLOWS_OF_MACHINE } from '../limits.ts'
import type { Timed, TimerQueue } from '../timer-queue.ts'
import { literalLookup } from './literal-lookup.ts'

/** DNS, NTP. */
const QUESTIONS = new Set([53, 123])
const QUESTION_MS = 15_000
const ONE_WAY_MS = 120_000
const BOTH_WAYS_MS = 300_000
/** Whom a machine's port talks to; the one that was not heard of for longest makes room. */
const MAX_PEERS = 256
/** Datagrams that wait for their socket to be ready. */
const MAX_BEFORE = 16
/** Bytes that wait in a socket. */
const MAX_QUEUED = 1024 * 1024
const REFUSALS: Record<string, Refusal> = {
  ECONNREFUSED: 'port',
  ENETUNREACH: 'network',
  ENETDOWN: 'network',
  EHOSTUNREACH: 'host',
  EACCES: 'prohibited',
  EPERM: 'prohibited',
}

export interface UdpFlowsParts {
  output: IpOutput
  timers: TimerQueue
  /** Where a datagram goes: the address that the host sends to, or why not. */
  route: (destination: IpAddress) => IpAddress | Refusal
  /** Whom a card's flows count for. */
  machineOf: CardShare
}

class UdpFlow implements Timed {
  place = -1
  wakeAt = 0
  readonly key: string
  readonly guest: IpAddress
  readonly guestPort: number
  readonly machine: number
  readonly #flows: UdpFlows
  readonly #socket: Socket
  /** By the address that the host sees: the one that the machine knows. */
  readonly #peers = new Map<string, IpAddress>()
  readonly #question: boolean
  #usedAt: number
  #answered = false
  /** Of a question: to tell its sender of a refusal. */
  #asked: IncomingPacket | null = null
  /** What came before the socket was ready. */
  #before: [packet: IncomingPacket, bytes: Uint8Array, address: string, port: number][] | null = []

  constructor(
    flows: UdpFlows,
    key: string,
    packet: IncomingPacket,
    guestPort: number,
    server: { address: string; port: number } | null,
    machine: number,
  ) {
    this.#flows = flows
    this.key = key
    this.guest = packet.source.slice()
    this.guestPort = guestPort
    this.machine = machine
    this.#question = server !== null
    this.#usedAt = flows.now
    const v4 = this.guest.length === 4
    const socket = createSocket({ type: v4 ? 'udp4' : 'udp6', ipv6Only: !v4, lookup: literalLookup as never })
    this.#socket = socket
    socket.on('message', (bytes, from) => this.#answer(bytes, from))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#asked) flows.refuse(this.#asked, error)
      if (!server || error.code !== 'ECONNREFUSED') flows.close(this)
    })
    const ready = (): void => {
      const waiting = this.#before!
      this.#before = null
      for (const one of waiting) this.#put(...one)
    }
    if (server) socket.connect(server.port, server.address, ready)
    else socket.bind({ port: 0, exclusive: true }, ready)
  }

  get dueAt(): number {
    return this.#usedAt + (this.#question ? QUESTION_MS : this.#answered ? BOTH_WAYS_MS : ONE_WAY_MS)
  }

  /** Whether one of those that it talks to, as the machine knows them, is so. */
  talksTo(which: (address: IpAddress) => boolean): boolean {
    return [...this.#peers.values()].some(which)
  }

  /** @param address where the host sends it */
  send(packet: IncomingPacket, { destinationPort, payload }: UdpDatagram, address: string): void {
    this.#usedAt = this.#flows.now
    const kept = keepToRefuse(packet)
    if (this.#question) this.#asked = kept
    this.#peers.delete(address)
    this.#peers.set(address, packet.destination.slice())
    if (this.#peers.size > MAX_PEERS) this.#peers.delete(this.#peers.keys().next().value!)
    if (this.#before) {
      if (this.#before.length < MAX_BEFORE) this.#before.push([kept, payload.slice(), address, destinationPort])
    } else if (this.#socket.getSendQueueSize() < MAX_QUEUED) this.#put(kept, payload.slice(), address, destinationPort)
  }

  wake(now: number): void {
    if (now >= this.dueAt) this.#flows.close(this)
    else this.#flows.timers.arm(this, this.dueAt)
  }

  end(): void {
    this.#socket.removeAllListeners()
    // Errors of what is still under way go nowhere.
    this.#socket.on('error', () => {})
    this.#socket.close()
  }

  #put(packet: IncomingPacket, bytes: Uint8Array, address: string, port: number): void {
    const done = (error: Error | null): void => {
      if (error) this.#flows.refuse(packet, error)
    }
    if (this.#question) this.#socket.send(bytes, done)
    else this.#socket.send(bytes, port, address, done)
  }

  #answer(bytes: Buffer, from: RemoteInfo): void {
    const peer = this.#peers.get(from.address.split('%', 1)[0]!)
    if (!peer) return
    this.#usedAt = this.#flows.now
    this.#answered = true
    this.#flows.deliver(peer, this.guest, { sourcePort: from.port, destinationPort: this.guestPort, payload: bytes })
  }
}

export class UdpFlows implements Disposable {
  readonly timers: TimerQueue
  readonly #parts: UdpFlowsParts
  readonly #flows = new Map<string, UdpFlow>()
  readonly #ofMachine = new Map<number, number>()

  constructor(parts: UdpFlowsParts) {
    this.#parts = parts
    this.timers = parts.timers
  }

  get count(): number {
    return this.#flows.size
  }

  get now(): number {
    return this.timers.clock.now()
  }

  receive(packet: IncomingPacket): void {
    const datagram = parseUdp(packet)
    if (!datagram) return
    const route = this.#parts.route(packet.destination)
    if (!(route instanceof Uint8Array)) return this.#parts.output.refuse(packet, route)
    const address = formatIp(route)
    const { sourcePort, destinationPort } = datagram
    const question = QUESTIONS.has(destinationPort)
    const own = `${packet.source.join('.')} ${sourcePort}`
    const key = question ? `${own} ${address} ${destinationPort}` : own
    const flow = this.#flows.get(key) ?? this.#open(key, packet, sourcePort, question ? { address, port: destinationPort } : null)
    flow?.send(packet, datagram, address)
  }

  /** A datagram to a machine, whoever has its address now. */
  deliver(source: IpAddress, guest: IpAddress, datagram: UdpDatagram): void {
    this.#parts.output.send({ source, destination: guest, protocol: PROTOCOL.udp }, buildUdp(source, guest, datagram))
  }

  /** Ends the flows of an address; null: all. */
  closeOf(which: (guest: IpAddress) => boolean): void {
    for (const flow of [...this.#flows.values()]) if (which(flow.guest)) this.close(flow)
  }

  /** Ends the flows to an address. */
  closeWith(which: (address: IpAddress) => boolean): void {
    for (const flow of [...this.#flows.values()]) if (flow.talksTo(which)) this.close(flow)
  }

  refuse(packet: IncomingPacket, error: NodeJS.ErrnoException): void {
    const how = REFUSALS[error.code ?? '']
    if (how !== undefined) this.#parts.output.refuse(packet, how)
  }

  close(flow: UdpFlow): void {
    if (!this.#flows.delete(flow.key)) return
    this.timers.disarm(flow)
    const left = this.#ofMachine.get(flow.machine)! - 1
    if (left > 0) this.#ofMachine.set(flow.machine, left)
    else this.#ofMachine.delete(flow.machine)
    flow.end()
  }

  dispose(): void {
    this.closeOf(() => true)
  }

  #open(key: string, packet: IncomingPacket, port: number, server: { address: string; port: number } | null): UdpFlow | null {
    const machine = this.#parts.machineOf(packet.sourceMac)
    const ofMachine = this.#ofMachine.get(machine) ?? 0
    if (this.#flows.size >= MAX_UDP_FLOWS || ofMachine >= MAX_UDP_FLOWS_OF_MACHINE) return null
    const flow = new UdpFlow(this, key, packet, port, server, machine)
    this.#flows.set(key, flow)
    this.#ofMachine.set(machine, ofMachine + 1)
    this.timers.arm(flow, flow.dueAt)
    return flow
  }
}
