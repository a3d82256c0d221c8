/** A machine on a plugboard that answers ARP and neighbour solicitations for its addresses and keeps everything else that it gets. */
import { ARP, buildArp } from '../../src-main/network/codec/arp.ts'
import { BROADCAST } from '../../src-main/network/codec/ethernet.ts'
import { buildIcmp, ICMP, ICMPV6 } from '../../src-main/network/codec/icmp.ts'
import { PROTOCOL } from '../../src-main/network/codec/ip.ts'
import { buildNeighbour } from '../../src-main/network/codec/neighbour.ts'
import type { Plugboard, Port } from '../../src-main/network/port.ts'
import { parseIp, sameIp, type IpAddress } from '../../src-shared/model/ip.ts'
import { ipFrame, see, type SeenFrame } from './network-board.ts'

export class NetworkStation {
  readonly mac: number
  readonly ip: IpAddress
  readonly port: Port
  /** Silent: it answers nothing. */
  silent = false
  onDiscovery: ((frame: SeenFrame) => void) | null = null
  #got: SeenFrame[] = []

  constructor(board: Plugboard, id: string, mac: number, address: string) {
    this.mac = mac
    this.ip = parseIp(address)!
    this.port = board.plug(id, (frame) => {
      this.#receive(see(frame.slice()))
      return true
    })
  }

  /** What came for it since the last time, but for ARP and neighbour discovery. */
  take(): SeenFrame[] {
    return this.#got.splice(0)
  }

  send(
    to: number,
    destination: IpAddress,
    protocol: number,
    payload: Uint8Array,
    more: { ttl?: number; flags?: number; source?: IpAddress } = {},
  ): void {
    this.port.send(ipFrame(to, this.mac, { source: this.ip, destination, protocol, ...more }, payload))
  }

  /** An echo request. @param to the router's card */
  ping(to: number, destination: IpAddress, more: { ttl?: number; bytes?: number; source?: IpAddress; flags?: number } = {}): void {
    const { bytes = 32, source = this.ip, ...rest } = more
    const four = destination.length === 4
    const message = { type: four ? ICMP.echoRequest : ICMPV6.echoRequest, code: 0, rest: 0x1_0001, body: new Uint8Array(bytes) }
    this.send(to, destination, four ? PROTOCOL.icmp : PROTOCOL.icmpv6, buildIcmp(source, destination, message), { source, ...rest })
  }

  #receive(frame: SeenFrame): void {
    if (frame.destination !== this.mac && frame.destination !== BROADCAST && frame.destination < 0x3333_0000_0000) return
    const { arp, neighbour, ip } = frame
    if (arp) {
      const { senderMac, senderIp, targetIp } = arp
      if (arp.operation === ARP.request && sameIp(targetIp, this.ip) && !this.silent)
        this.port.send(
          buildArp(senderMac, { operation: ARP.reply, senderMac: this.mac, senderIp: this.ip, targetMac: senderMac, targetIp: senderIp }),
        )
    } else if (neighbour) {
      this.onDiscovery?.(frame)
      if (neighbour.kind !== 'neighbour-solicitation' || !sameIp(neighbour.target, this.ip) || this.silent) return
      const options = [{ kind: 'target-mac', mac: this.mac } as const]
      const message = buildNeighbour({
        ...{ kind: 'neighbour-advertisement', target: this.ip, router: false, solicited: true, override: true, options },
      })
      this.send(frame.source, ip!.source, PROTOCOL.icmpv6, buildIcmp(this.ip, ip!.source, message), { ttl: 255 })
    } else this.#got.push(frame)
  }
}
