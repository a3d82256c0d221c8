/**
 * A UDP port of the host whose datagrams go to a machine, and its answers back to who sent them. The machine knows each client by a port of the gateway. No two clients have the
 * same one, also those of different forwards: both forwards may lead to one port of the machine, and its answer names nothing but the gateway's port.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { randomInt } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import type { Timed } from '../timer-queue.ts'
import { literalLookup } from '../udp/literal-lookup.ts'
import type { ForwardListener, ForwardParts, ForwardTarget, Told } from './forward.ts'
import { listenError } from './listen-error.ts'

const MAX_CLIENTS = 1024
/** Of all forwards together: fewer than there are ports to choose from. */
const MAX_ALIASES = 16_384
/** For those whose own port is another's already. */
const ALIASES = [32_768, 61_000] as const
const IDLE_MS = 300_000

interface Client extends Timed {
  readonly address: string
  readonly port: number
  /** Of the gateway. */
  readonly alias: number
  usedAt: number
}

export class UdpForward implements ForwardListener {
  target: ForwardTarget
  readonly #parts: ForwardParts
  readonly #socket: Socket
  readonly #clients = new Map<string, Client>()
  readonly #byAlias = new Map<number, Client>()

  constructor(parts: ForwardParts, address: string, port: number, target: ForwardTarget, told: Told) {
    this.#parts = parts
    this.target = target
    const v6 = isIPv6(address)
    this.#socket = createSocket({ type: v6 ? 'udp6' : 'udp4', ipv6Only: v6, lookup: literalLookup as never })
    this.#socket.on('error', (error) => told(listenError(error, 'udp', address, port)))
    this.#socket.on('message', (bytes, from) => this.#pass(bytes, from))
    this.#socket.bind({ address, port, exclusive: true }, () => told(null))
  }

  retarget(): void {}

  /** What a machine sent to a port of the gateway. @returns whether it is for a client of this forward */
  answer(guest: IpAddress, guestPort: number, alias: number, payload: Uint8Array): boolean {
    const { target } = this
    const client = this.#byAlias.get(alias)
    if (!client || guestPort !== target.guestPort || target.guest?.join() !== guest.join()) return false
    client.usedAt = this.#parts.timers.clock.now()
    this.#socket.send(payload.slice(), client.port, client.address, () => {})
    return true
  }

  dispose(): void {
    for (const client of this.#clients.values()) {
      this.#parts.timers.disarm(client)
      this.#parts.udpAliases.delete(client.alias)
    }
    this.#socket.removeAllListeners().on('error', () => {})
    // One that could not be bound is closed already.
    try {
      this.#socket.close()
    } catch {
      return
    }
  }

  #pass(bytes: Buffer, from: RemoteInfo): void {
    const { guest, guestPort } = this.target
    const gateway = guest && this.#parts.gateway(guest.length as 4 | 16)
    if (!gateway) return
    const client = this.#clients.get(`${from.address} ${from.port}`) ?? this.#add(from)
    if (!client) return
    client.usedAt = this.#parts.timers.clock.now()
    this.#parts.udp.deliver(gateway, guest, { sourcePort: client.alias, destinationPort: guestPort, payload: bytes })
  }

  #add({ address, port }: RemoteInfo): Client | null {
    const { timers, udpAliases } = this.#parts
    if (this.#clients.size >= MAX_CLIENTS || udpAliases.size >= MAX_ALIASES) return null
    let alias = port
    while (alias < 1024 || udpAliases.has(alias)) alias = randomInt(...ALIASES)
    const client: Client = {
      ...{ address, port, alias, usedAt: timers.clock.now(), place: -1, wakeAt: 0 },
      wake: (now) => {
        if (now < client.usedAt + IDLE_MS) return timers.arm(client, client.usedAt + IDLE_MS)
        this.#clients.delete(`${address} ${port}`)
        this.#byAlias.delete(alias)
        udpAliases.delete(alias)
      },
    }
    this.#clients.set(`${address} ${port}`, client)
    this.#byAlias.set(alias, client)
    udpAliases.add(alias)
    timers.arm(client, client.usedAt + IDLE_MS)
    return client
  }
}
