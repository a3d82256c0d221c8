/** The NAT of one network, wired: TCP by tcp/, UDP by udp/, echo by icmp/, and the host's listening sockets by forwards/. */
import { DisposableStore, toDisposable, type Disposable } from '../../../src-shared/base/disposable.ts'
import { sameIp, type IpAddress } from '../../../src-shared/model/ip.ts'
import type { Clock } from '../clock.ts'
import { PROTOCOL } from '../codec/ip.ts'
import type { IncomingPacket, IpOutput } from '../ip-output.ts'
import { judge } from './address-policy.ts'
import { GuardedOutput } from './guarded-output.ts'
import type { LocalStream, Nat, NatOptions } from './nat.ts'
import { localEnd } from './tcp/local-end.ts'
import { SocketEnd } from './tcp/socket-end.ts'
import { endOfTurn, TcpFlows, type Route } from './tcp/tcp-flows.ts'
import { TimerQueue } from './timer-queue.ts'

/** Packets that came while another was sent. */
const MAX_LATER = 1024
const LOOPBACK = { 4: Uint8Array.of(127, 0, 0, 1), 16: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) } as Record<
  number,
  IpAddress
>

export class UserNat {
  readonly #store = new DisposableStore()
  readonly #output: GuardedOutput
  readonly #tcp: TcpFlows
  readonly #services = new Map<number, (stream: LocalStream) => void>()
  #options: NatOptions
  #later: IncomingPacket[] = []

  constructor(output: IpOutput, clock: Clock, options: NatOptions) {
    this.#options = options
    this.#output = new GuardedOutput(output)
    const timers = this.#store.add(new TimerQueue(clock))
    this.#tcp = this.#store.add(
      new TcpFlows({ output: this.#output, timers, route: (packet, port) => this.#route(packet, port), endOfTurn }),
    )
  }

  get flows(): Nat['flows'] {
    return { tcp: this.#tcp.count, udp: 0 }
  }

  receive(packet: IncomingPacket): void {
    if (this.#store.disposed) return
    if (this.#output.inside) return this.#wait(packet)
    if (packet.protocol === PROTOCOL.tcp) this.#tcp.receive(packet)
  }

  update(options: NatOptions): void {
    this.#options = options
    this.#tcp.close(({ remote, remotePort }) => {
      if (this.#isGateway(remote) && this.#services.has(remotePort)) return false
      const verdict = judge(remote, options)
      return verdict === 'prohibited' || verdict === 'refused'
    })
  }

  closeFlows(address: IpAddress | null): void {
    this.#tcp.close(({ guest }) => address === null || sameIp(guest, address))
  }

  listenTcp(port: number, accept: (stream: LocalStream) => void): Disposable {
    this.#services.set(port, accept)
    return this.#store.add(toDisposable(() => this.#services.delete(port)))
  }

  dispose(): void {
    this.#store.dispose()
  }

  #route({ source, sourceMac, destination }: IncomingPacket, port: number): Route {
    const service = this.#isGateway(destination) ? this.#services.get(port) : undefined
    const guest = source.slice()
    if (service) return (events) => localEnd({ source: guest, sourcePort: 0, sourceMac }, events, service)
    const verdict = judge(destination, this.#options)
    if (verdict === 'refused') return 'reset'
    if (verdict === 'prohibited') return 'prohibited'
    const address = verdict === 'host' ? LOOPBACK[destination.length]! : destination.slice()
    return (events) => SocketEnd.connect(address, port, events)
  }

  #isGateway(address: IpAddress): boolean {
    const { ipv4, ipv6 } = this.#options.gateway
    return (ipv4 !== null && sameIp(address, ipv4)) || (ipv6 !== null && sameIp(address, ipv6))
  }

  #wait(packet: IncomingPacket): void {
    if (this.#later.length >= MAX_LATER) return
    const { source, destination, payload, whole } = packet
    const copy = { source: source.slice(), destination: destination.slice(), payload: payload.slice(), whole: whole.slice() }
    this.#later.push({ ...packet, ...copy })
    if (this.#later.length === 1) queueMicrotask(() => this.#later.splice(0).forEach((one) => this.receive(one)))
  }
}
