/** A plugboard with one plug, of which a test is the network: it hands frames in and sees what comes out, parsed. */
import { parseArp, type ArpPacket } from '../../src-main/network/codec/arp.ts'
import { ETHERNET_HEADER, ETHERTYPE, destinationOf, ethertypeOf, sourceOf, writeEthernet } from '../../src-main/network/codec/ethernet.ts'
import { parseIcmp, type IcmpMessage } from '../../src-main/network/codec/icmp.ts'
import { ipHeaderBytes, parseIp, PROTOCOL, writeIp, type IpHeader, type IpPacket } from '../../src-main/network/codec/ip.ts'
import { parseNeighbour, type NeighbourMessage } from '../../src-main/network/codec/neighbour.ts'
import { parseUdp, type UdpDatagram } from '../../src-main/network/codec/udp.ts'
import type { FrameSink, Plugboard, Port } from '../../src-main/network/port.ts'

/** A frame as far as it is understood. */
export interface SeenFrame {
  bytes: Uint8Array
  source: number
  destination: number
  arp: ArpPacket | null
  ip: IpPacket | null
  icmp: IcmpMessage | null
  neighbour: NeighbourMessage | null
  udp: UdpDatagram | null
}

export class NetworkBoard implements Plugboard {
  #receive: FrameSink | null = null
  #sent: Uint8Array[] = []
  /** What the plug's frames meet. */
  room = true
  /** Called for each frame while it passes. */
  onFrame: ((frame: Uint8Array) => void) | null = null

  plug(id: string, receive: FrameSink): Port {
    this.#receive = receive
    const counters = { framesOut: 0, bytesOut: 0, framesIn: 0, bytesIn: 0, dropped: 0, lost: 0, denied: 0 }
    const send = (frame: Uint8Array): boolean => {
      if (!this.room) return false
      this.#sent.push(frame.slice())
      this.onFrame?.(frame)
      return true
    }
    return { id, send, counters, link: true, dispose: () => (this.#receive = null) }
  }

  isCard(): boolean {
    return true
  }

  get plugged(): boolean {
    return this.#receive !== null
  }

  give(frame: Uint8Array): void {
    this.#receive?.(frame)
  }

  /** What came out since the last time. */
  take(): SeenFrame[] {
    return this.#sent.splice(0).map(see)
  }
}

/** A whole frame with an IP packet. */
export function ipFrame(to: number, from: number, header: IpHeader, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = ipHeaderBytes(header.source)
  const frame = new Uint8Array(ETHERNET_HEADER + bytes + payload.length)
  writeEthernet(frame, to, from, bytes === 20 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
  writeIp(frame, ETHERNET_HEADER, header, payload.length)
  frame.set(payload, ETHERNET_HEADER + bytes)
  return frame
}

/** A frame with a packet that is written already. */
export function packetFrame(to: number, from: number, packet: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(ETHERNET_HEADER + packet.length)
  writeEthernet(frame, to, from, packet[0]! >> 4 === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
  frame.set(packet, ETHERNET_HEADER)
  return frame
}

export function see(bytes: Uint8Array): SeenFrame {
  const type = ethertypeOf(bytes)
  const arp = type === ETHERTYPE.arp ? parseArp(bytes.subarray(ETHERNET_HEADER)) : null
  const ip = type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6 ? parseIp(bytes, ETHERNET_HEADER) : null
  const whole = ip && !ip.fragment ? ip : null
  const icmp = whole && (whole.protocol === PROTOCOL.icmp || whole.protocol === PROTOCOL.icmpv6) ? parseIcmp(whole) : null
  const neighbour = icmp && whole!.version === 6 ? parseNeighbour(icmp) : null
  const udp = whole && whole.protocol === PROTOCOL.udp ? parseUdp(whole) : null
  return { bytes, source: sourceOf(bytes), destination: destinationOf(bytes), arp, ip, icmp, neighbour, udp }
}
