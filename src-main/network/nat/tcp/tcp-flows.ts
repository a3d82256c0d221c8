/**
 * All TCP connections of a network, and who they belong to: finds the connection of a segment, takes up what machines open, opens what the host asks for, and bounds both.
 *
 * What happens to connections in one turn of the event loop is worked off at its end (TcpConnection, `flush`).
 */
import { randomInt } from 'node:crypto'
import { toDisposable, type Disposable } from '../../../../src-shared/base/disposable.ts'
import { sameIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import type { CardShare } from '../../card-share.ts'
import { parseTcp, TCP, type TcpSegment } from '../../codec/tcp.ts'
import type { IncomingPacket, IpOutput, Refusal } from '../../ip-output.ts'
import { keepToRefuse } from '../kept-packet.ts'
import {
  Budget,
  FIRST_BUFFER,
  MAX_BUFFERS,
  MAX_TCP_FLOWS,
  MAX_TCP_FLOWS_OF_MACHINE,
  MAX_TCP_OPENING,
  MAX_TCP_OPENING_OF_MACHINE,
} from '../limits.ts'
import type { TimerQueue } from '../timer-queue.ts'
import { flowKey } from './flow-key.ts'
import type { HostEnd, HostEvents } from './host-end.ts'
import type { TooBig } from './path-mtu.ts'
import { NO_OPTIONS, SegmentWriter, type FlowEnds } from './segment-writer.ts'
import type { ConnectionOwner } from './connection-owner.ts'
import { TcpConnection } from './tcp-connection.ts'

/** Makes the host's end of a connection, which tells the events. */
export type Connect = (events: HostEvents) => HostEnd

/** What becomes of a machine's SYN: joined to an end, or refused. */
export type Route = Connect | 'reset' | Refusal

export interface TcpFlowsParts {
  output: IpOutput
  timers: TimerQueue
  /** Where a machine's connection goes. */
  route: (packet: IncomingPacket, segment: TcpSegment) => Route
  /** Whom a card's flows count for. */
  machineOf: CardShare
  /** Runs something when the turn ends. */
  endOfTurn: (run: () => void) => Disposable
}

const CHALLENGES_PER_SECOND = 100
/** What a machine sees as a refusal of its own connection; all else means that the host does not get there. */
const REFUSALS: Record<string, 'reset' | Refusal> = {
  ECONNREFUSED: 'reset',
  ECONNRESET: 'reset',
  ENETUNREACH: 'network',
  ENETDOWN: 'network',
  EACCES: 'prohibited',
  EPERM: 'prohibited',
}

export class TcpFlows implements ConnectionOwner, Disposable {
  readonly writer: SegmentWriter
  readonly timers: TimerQueue
  readonly budget = new Budget(MAX_BUFFERS)
  readonly #parts: TcpFlowsParts
  readonly #seed = randomInt(0x1_0000_0000 - 1) | 0
  #byKey = new Map<number, TcpConnection>()
  #ofMachine = new Map<number, number>()
  #count = 0
  #opening = 0
  readonly #openingOf = new Map<number, number>()
  #last: TcpConnection | null = null
  #changed: TcpConnection[] = []
  #turn: Disposable | null = null
  #now = 0
  #challengeSecond = 0
  #challenges = 0

  constructor(parts: TcpFlowsParts) {
    this.#parts = parts
    this.timers = parts.timers
    this.writer = new SegmentWriter(parts.output)
  }

  get count(): number {
    return this.#count
  }

  get now(): number {
    return this.#turn ? this.#now : this.timers.clock.now()
  }

  receive(packet: IncomingPacket): void {
    const segment = parseTcp(packet)
    if (!segment) return
    const connection = this.#find(packet.source, segment.sourcePort, packet.destination, segment.destinationPort)
    const opens = (segment.flags & (TCP.syn | TCP.ack | TCP.rst | TCP.fin)) === TCP.syn
    if (connection && !(opens && connection.replaceable)) return connection.receive(segment, packet.sourceMac)
    connection?.abandon()
    if (opens) this.#accept(packet, segment)
    else this.#reset(packet, segment)
  }

  /** A segment did not fit on its way to a machine. */
  tooBig({ guest, guestPort, remote, remotePort, sequence, mtu }: TooBig): void {
    this.#find(guest, guestPort, remote, remotePort)?.tooBig(sequence, mtu)
  }

  /**
   * Opens a connection to a machine, in the name of `remote`. @param remotePort where it is free; else another
   * @returns false: there are too many
   */
  open(guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number, connect: Connect): boolean {
    if (!this.#hasRoom(null)) return false
    let port = remotePort
    for (let tries = 0; port < 1024 || this.#find(guest, guestPort, remote, port); tries++) {
      if (tries === 16) return false
      port = randomInt(32_768, 61_000)
    }
    this.#add({ guest, guestPort, remote, remotePort: port, mac: undefined }).open(connect)
    return true
  }

  /** Ends connections, with a RST for both sides. @param which with whether the machine opened it */
  close(which: (ends: FlowEnds, opened: boolean) => boolean): void {
    for (const first of [...this.#byKey.values()])
      for (let one: TcpConnection | null = first, next; one; one = next) {
        next = one.nextOfKey
        if (which(one.ends, one.machine !== null)) one.abort()
      }
  }

  changed(connection: TcpConnection): void {
    if (connection.listed) return
    connection.listed = true
    this.#changed.push(connection)
    if (this.#turn) return
    this.#now = this.timers.clock.now()
    this.#turn = this.#parts.endOfTurn(() => this.#flush())
  }

  settled({ machine }: TcpConnection): void {
    this.#opening--
    if (machine !== null) count(this.#openingOf, machine, -1)
  }

  refused(connection: TcpConnection, syn: IncomingPacket, error: string): void {
    const how = REFUSALS[error] ?? 'host'
    if (how === 'reset') this.#sendReset(connection.ends, 0, connection.acknowledges, TCP.rst | TCP.ack)
    else this.#parts.output.refuse(syn, how)
  }

  closed(connection: TcpConnection): void {
    const first = this.#byKey.get(connection.key)
    if (first === connection) {
      if (connection.nextOfKey) this.#byKey.set(connection.key, connection.nextOfKey)
      else this.#byKey.delete(connection.key)
    } else {
      let before = first
      while (before && before.nextOfKey !== connection) before = before.nextOfKey ?? undefined
      if (before) before.nextOfKey = connection.nextOfKey
    }
    if (this.#last === connection) this.#last = null
    this.#count--
    if (connection.machine === null) return
    count(this.#ofMachine, connection.machine, -1)
  }

  mayChallenge(): boolean {
    const second = Math.floor(this.now / 1000)
    if (second !== this.#challengeSecond) {
      this.#challengeSecond = second
      this.#challenges = 0
    }
    return this.#challenges++ < CHALLENGES_PER_SECOND
  }

  dispose(): void {
    this.close(() => true)
    this.#turn?.dispose()
    this.#turn = null
    this.#changed.length = 0
  }

  #flush(): void {
    this.#now = this.timers.clock.now()
    const changed = this.#changed
    this.#changed = []
    for (const connection of changed) {
      connection.listed = false
      connection.flush()
    }
    // What changed meanwhile has a turn of its own.
    this.#turn = this.#changed.length > 0 ? this.#parts.endOfTurn(() => this.#flush()) : null
  }

  #find(guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number): TcpConnection | null {
    const last = this.#last
    if (last && isOf(last.ends, guest, guestPort, remote, remotePort)) return last
    let found = this.#byKey.get(flowKey(this.#seed, guest, guestPort, remote, remotePort)) ?? null
    while (found && !isOf(found.ends, guest, guestPort, remote, remotePort)) found = found.nextOfKey
    if (found) this.#last = found
    return found
  }

  #accept(packet: IncomingPacket, segment: TcpSegment): void {
    const route = this.#parts.route(packet, segment)
    if (route === 'reset') return this.#reset(packet, segment)
    if (typeof route !== 'function') return this.#parts.output.refuse(packet, route)
    // Where there is no room the machine asks again in a moment.
    const machine = this.#parts.machineOf(packet.sourceMac)
    if (!this.#hasRoom(machine)) return
    const kept = keepToRefuse(packet)
    const ends: FlowEnds = {
      ...{ guest: kept.source, guestPort: segment.sourcePort, remote: kept.destination, remotePort: segment.destinationPort },
      mac: packet.sourceMac,
    }
    this.#add(ends, machine).accept(segment, kept, route)
  }

  #hasRoom(machine: number | null): boolean {
    if (this.#count >= MAX_TCP_FLOWS || this.#opening >= MAX_TCP_OPENING || this.budget.left < 2 * FIRST_BUFFER) return false
    if (machine === null) return true
    // One that is asked for everything at once keeps the others' from being made as little as its own that are there.
    return (
      (this.#ofMachine.get(machine) ?? 0) < MAX_TCP_FLOWS_OF_MACHINE && (this.#openingOf.get(machine) ?? 0) < MAX_TCP_OPENING_OF_MACHINE
    )
  }

  #add(ends: FlowEnds, machine: number | null = null): TcpConnection {
    const connection = new TcpConnection(this, ends, machine)
    connection.key = flowKey(this.#seed, ends.guest, ends.guestPort, ends.remote, ends.remotePort)
    connection.nextOfKey = this.#byKey.get(connection.key) ?? null
    this.#byKey.set(connection.key, connection)
    this.#count++
    this.#opening++
    if (machine === null) return connection
    count(this.#ofMachine, machine, 1)
    count(this.#openingOf, machine, 1)
    return connection
  }

  /** To a segment of no connection (RFC 9293, 3.10.7.1). */
  #reset(packet: IncomingPacket, segment: TcpSegment): void {
    const { flags, sequence, acknowledgment, payload } = segment
    if (flags & TCP.rst) return
    const ends: FlowEnds = {
      ...{ guest: packet.source, guestPort: segment.sourcePort, remote: packet.destination, remotePort: segment.destinationPort },
      mac: packet.sourceMac,
    }
    if (flags & TCP.ack) return this.#sendReset(ends, acknowledgment, 0, TCP.rst)
    const length = payload.length + (flags & TCP.syn ? 1 : 0) + (flags & TCP.fin ? 1 : 0)
    this.#sendReset(ends, 0, sequence + length, TCP.rst | TCP.ack)
  }

  #sendReset(ends: FlowEnds, sequence: number, acknowledgment: number, flags: number): void {
    this.writer.send(ends, sequence, acknowledgment, flags, 0, NO_OPTIONS, null, 0)
  }
}

/** At the end of this turn of the event loop: after what came in it. */
export function endOfTurn(run: () => void): Disposable {
  const immediate = setImmediate(() => {
    turn.dispose()
    run()
  })
  const turn = toDisposable(() => clearImmediate(immediate))
  return turn
}

/** Those that have none are not in it. */
function count(counts: Map<number, number>, machine: number, by: 1 | -1): void {
  const now = (counts.get(machine) ?? 0) + by
  if (now > 0) counts.set(machine, now)
  else counts.delete(machine)
}

function isOf(ends: FlowEnds, guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number): boolean {
  return ends.guestPort === guestPort && ends.remotePort === remotePort && sameIp(ends.guest, guest) && sameIp(ends.remote, remote)
}
