/** Which service answers at which UDP port, and how its answers are sent. */
import { toDisposable, type Disposable } from '../../../src-shared/base/disposable.ts'
import { PROTOCOL } from '../codec/ip.ts'
import { buildUdp, parseUdp } from '../codec/udp.ts'
import type { IncomingPacket } from '../ip-output.ts'
import type { IpInterface } from './ip-interface.ts'
import type { UdpReply, UdpService, UdpServices } from './udp-service.ts'

export class UdpPorts implements UdpServices {
  readonly #card: IpInterface
  #services = new Map<number, UdpService>()

  constructor(card: IpInterface) {
    this.#card = card
  }

  listen(service: UdpService): Disposable {
    const { port } = service
    if (this.#services.has(port)) throw new Error(`UDP port ${port} of the gateway is taken`)
    this.#services.set(port, service)
    return toDisposable(() => this.#services.delete(port))
  }

  /** @param packet with UDP. @returns whether it was for a service, or no datagram at all */
  receive(packet: IncomingPacket): boolean {
    const { payload, sourceMac } = packet
    const service = payload.length < 4 ? undefined : this.#services.get((payload[2]! << 8) | payload[3]!)
    if (!service) return false
    const datagram = parseUdp(packet)
    if (!datagram) {
      this.#card.drops.malformed++
      return true
    }
    const { sourcePort, destinationPort } = datagram
    const [source, destination] = [packet.source.slice(), packet.destination.slice()]
    const reply: UdpReply = (bytes, how = {}) => {
      const to = how.destination ?? source
      const from =
        how.source ?? (this.#card.own.has(destination) && destination.length === to.length ? destination : this.#card.own.facing(to))
      if (!from) return
      const answer = { sourcePort: how.sourcePort ?? destinationPort, destinationPort: how.destinationPort ?? sourcePort, payload: bytes }
      const mac = how.toMac ?? (how.destination ? undefined : sourceMac)
      this.#card.send({ source: from, destination: to, protocol: PROTOCOL.udp }, buildUdp(from, to, answer), mac)
    }
    service.receive({ source, sourcePort, destination, destinationPort, payload: datagram.payload, sourceMac }, reply)
    return true
  }
}
