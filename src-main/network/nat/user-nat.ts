/** The NAT of one network, wired: TCP by tcp/, UDP by udp/, echo by icmp/, and the host's listening sockets by forwards/. */
import { DisposableStore, toDisposable, type Disposable } from '../../../src-shared/base/disposable.ts'
import type { Event } from '../../../src-shared/base/event.ts'
import { sameIp, type IpAddress } from '../../../src-shared/model/ip.ts'
import type { CardShare } from '../card-share.ts'
import type { Clock } from '../clock.ts'
import { PROTOCOL } from '../codec/ip.ts'
import type { TcpSegment } from '../codec/tcp.ts'
import { parseUdp } from '../codec/udp.ts'
import type { IncomingPacket, IpOutput } from '../ip-output.ts'
import { judge } from './address-policy.ts'
import { GuardedOutput } from './guarded-output.ts'
import { EchoOutside } from './icmp/echo.ts'
import { Forwards } from './forwards/forwards.ts'
import { keepWhole } from './kept-packet.ts'
import type { ForwardStates, LocalStream, Nat, NatOptions, ResolvedForward } from './nat.ts'
import { localEnd } from './tcp/local-end.ts'
import { tooBigOf } from './tcp/path-mtu.ts'
import { SocketEnd } from './tcp/socket-end.ts'
import { endOfTurn, TcpFlows, type Route } from './tcp/tcp-flows.ts'
import { TimerQueue } from './timer-queue.ts'
import { UdpFlows } from './udp/udp-flows.ts'

/** Packets that came while another was sent. */
const MAX_LATER = 1024
const LOOPBACK = { 4: Uint8Array.of(127, 0, 0, 1), 16: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) } as Record<
  number,
  IpAddress
>

export class UserNat implements Nat {
  readonly #store = new DisposableStore()
  readonly #output: GuardedOutput
  readonly #tcp: TcpFlows
  readonly #udp: UdpFlows
  readonly #echo: EchoOutside
  readonly #forwards: Forwards
  readonly #services = new Map<number, (stream: LocalStream) => void>()
  #options: NatOptions
  #later: IncomingPacket[] = []

  constructor(output: IpOutput, clock: Clock, options: NatOptions, machineOf: CardShare = (mac) => mac) {
    this.#options = options
    this.#output = new GuardedOutput(output)
    const timers = this.#store.add(new TimerQueue(clock))
    this.#tcp = this.#store.add(
      new TcpFlows({ output: this.#output, timers, route: (packet, port) => this.#routeTcp(packet, port), machineOf, endOfTurn }),
    )
    this.#udp = this.#store.add(new UdpFlows({ output: this.#output, timers, machineOf, route: (address) => this.#route(address, 'port') }))
    this.#echo = this.#store.add(new EchoOutside(this.#output, clock))
    const gateway = (bytes: 4 | 16): IpAddress | null => this.#options.gateway[bytes === 4 ? 'ipv4' : 'ipv6']
    this.#forwards = this.#store.add(new Forwards({ tcp: this.#tcp, udp: this.#udp, timers, gateway, udpAliases: new Set() }))
  }

  get flows(): Nat['flows'] {
    return { tcp: this.#tcp.count, udp: this.#udp.count }
  }

  get forwards(): ForwardStates {
    return this.#forwards.states
  }

  get onForwards(): Event<ForwardStates> {
    return this.#forwards.onChanged
  }

  get echo(): Nat['echo'] {
    return this.#echo.state
  }

  receive(packet: IncomingPacket): void {
    if (this.#store.disposed) return
    if (this.#output.inside) return this.#wait(packet)
    switch (packet.protocol) {
      case PROTOCOL.tcp:
        return this.#tcp.receive(packet)
      case PROTOCOL.udp:
        return this.#receiveUdp(packet)
      case PROTOCOL.icmp:
      case PROTOCOL.icmpv6:
        return this.#receiveIcmp(packet)
      default:
        this.#output.refuse(packet, 'protocol')
    }
  }

  setForwards(forwards: readonly ResolvedForward[]): void {
    if (!this.#store.disposed) this.#forwards.set(forwards)
  }

  update(options: NatOptions): void {
    this.#options = options
    this.#tcp.close(({ remote, remotePort }, opened) => {
      if (!opened || (this.#isGateway(remote) && this.#services.has(remotePort))) return false
      const verdict = judge(remote, options)
      return verdict === 'prohibited' || verdict === 'refused'
    })
    this.#udp.closeWith((address) => !(this.#route(address, 'port') instanceof Uint8Array))
  }

  closeFlows(address: IpAddress | null): void {
    this.#tcp.close(({ guest }) => address === null || sameIp(guest, address))
    this.#udp.closeOf((guest) => address === null || sameIp(guest, address))
  }

  listenTcp(port: number, accept: (stream: LocalStream) => void): Disposable {
    this.#services.set(port, accept)
    return this.#store.add(toDisposable(() => this.#services.delete(port)))
  }

  dispose(): void {
    this.#store.dispose()
  }

  #routeTcp({ source, sourceMac, destination }: IncomingPacket, { sourcePort, destinationPort }: TcpSegment): Route {
    const service = this.#isGateway(destination) ? this.#services.get(destinationPort) : undefined
    if (service) {
      const from = { source: source.slice(), sourcePort, sourceMac }
      return (events) => localEnd(from, events, service)
    }
    const address = this.#route(destination, 'reset')
    return address instanceof Uint8Array ? (events) => SocketEnd.connect(address, destinationPort, events) : address
  }

  /** Where the host goes for a machine that goes to an address; or why not. @param closed how the gateway says that it has nothing there */
  #route<T>(destination: IpAddress, closed: T): IpAddress | T | 'prohibited' {
    switch (judge(destination, this.#options)) {
      case 'outside':
        return destination.slice()
      case 'host':
        return LOOPBACK[destination.length]!
      case 'refused':
        return closed
      case 'prohibited':
        return 'prohibited'
    }
  }

  #receiveIcmp(packet: IncomingPacket): void {
    const tooBig = tooBigOf(packet)
    if (tooBig) this.#tcp.tooBig(tooBig)
    else this.#echo.receive(packet, this.#route(packet.destination, 'host'))
  }

  #receiveUdp(packet: IncomingPacket): void {
    const { source, destination, payload } = packet
    if (this.#isGateway(destination)) {
      const datagram = parseUdp(packet)
      if (datagram && this.#forwards.answer(source, datagram.sourcePort, datagram.destinationPort, datagram.payload)) return
    }
    if (payload.length > 0) this.#udp.receive(packet)
  }

  #isGateway(address: IpAddress): boolean {
    const { ipv4, ipv6 } = this.#options.gateway
    return (ipv4 !== null && sameIp(address, ipv4)) || (ipv6 !== null && sameIp(address, ipv6))
  }

  #wait(packet: IncomingPacket): void {
    if (this.#later.length >= MAX_LATER) return
    this.#later.push(keepWhole(packet))
    if (this.#later.length === 1) queueMicrotask(() => this.#later.splice(0).forEach((one) => this.receive(one)))
  }
}
