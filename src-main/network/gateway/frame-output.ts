/**
 * An interface's way out: the card that a packet goes to is found, or the packet waits for it; it is cut in pieces where it does not fit, and put into frames.
 *
 * Headers are written in front of the payload, in its own memory where it has room for them. Frames pass while the sender's call lasts, so an answer may be sent while a frame of
 * this interface still passes: it gets memory of its own then.
 */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { BROADCAST, ETHERNET_HEADER, ETHERTYPE, writeEthernet } from '../codec/ethernet.ts'
import { ageIp, ipHeaderBytes, writeIp, type IpHeader } from '../codec/ip.ts'
import { hasHeadroom, type IncomingPacket, type Refusal } from '../ip-output.ts'
import { MAX_FRAME, type Port } from '../port.ts'
import { isMulticastIp, multicastMac } from './addresses.ts'
import { cutIpv4, cutIpv6 } from './fragments.ts'
import type { InterfaceDrops, NextHop } from './interface-owner.ts'
import type { Neighbours } from './neighbours.ts'
import type { OwnAddresses } from './own-addresses.ts'

const NOT_KNOWN = -1
const NO_WAY = -2

export interface FrameOutputParts {
  mac: number
  port: Port
  own: OwnAddresses
  neighbours: Neighbours
  drops: InterfaceDrops
  nextHop: (address: IpAddress) => NextHop | null
}

export class FrameOutput {
  /** Bytes of an IP packet. */
  mtu: number
  readonly #parts: FrameOutputParts
  readonly #mac: number
  readonly #port: Port
  readonly #scratch = new Uint8Array(MAX_FRAME)
  #sending = false
  /** The frame around the payload that was sent last: senders use the same place again. */
  #lastPayload: Uint8Array | null = null
  #lastFrame: Uint8Array | null = null
  #id = Math.floor(Math.random() * 0x1_0000_0000)

  constructor(mtu: number, parts: FrameOutputParts) {
    this.mtu = mtu
    this.#parts = parts
    this.#mac = parts.mac
    this.#port = parts.port
  }

  /** See IpOutput. */
  send(header: IpHeader, payload: Uint8Array, to?: number): boolean {
    const { source, destination } = header
    const bytes = ipHeaderBytes(source)
    const mac = to ?? this.#cardOf(destination)
    if (mac < 0 || bytes + payload.length > this.mtu) return this.#sendSlowly(header, payload, mac)
    const length = ETHERNET_HEADER + bytes + payload.length
    if (hasHeadroom(payload)) {
      let frame = this.#lastFrame
      if (payload !== this.#lastPayload || frame!.length !== length) {
        frame = new Uint8Array(payload.buffer, payload.byteOffset - ETHERNET_HEADER - bytes, length)
        this.#lastPayload = payload
        this.#lastFrame = frame
      }
      writeIp(frame!, ETHERNET_HEADER, header, payload.length)
      writeEthernet(frame!, mac, this.#mac, source.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
      return this.#port.send(frame!)
    }
    return this.#framed(length, (frame) => {
      frame.set(payload, ETHERNET_HEADER + bytes)
      writeIp(frame, ETHERNET_HEADER, header, payload.length)
      writeEthernet(frame, mac, this.#mac, source.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
    })
  }

  /**
   * Sends somebody else's packet on, one hop older. The caller has seen that there is a hop left.
   * @param packet copied
   * @param via who hands it on; null: its destination is a neighbour
   * @param back where the interface that it came from tells its sender what is wrong with it
   */
  forward({ whole, destination, sourceMac }: IncomingPacket, via: NextHop | null, back: (why: Refusal, whole: Uint8Array) => void): void {
    const { neighbours, drops } = this.#parts
    const mac = via?.mac ?? neighbours.find(destination)
    if (whole.length <= this.mtu && mac !== NOT_KNOWN) {
      this.#framed(ETHERNET_HEADER + whole.length, (frame) => {
        frame.set(whole, ETHERNET_HEADER)
        ageIp(frame, ETHERNET_HEADER)
        writeEthernet(frame, mac, this.#mac, destination.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
      })
      return
    }
    const packet = whole.slice()
    ageIp(packet, 0)
    let pieces: Uint8Array[] = [packet]
    if (packet.length > this.mtu) {
      // Not to be cut: by its sender's wish, or as IPv6 is.
      if (destination.length !== 4 || (packet[6]! & 0x40) !== 0) return back({ tooBig: this.mtu }, whole)
      pieces = cutIpv4(packet, this.mtu)
    }
    for (const piece of pieces) {
      if (mac !== NOT_KNOWN) this.transmit(piece, mac)
      else if (!neighbours.wait(destination, piece, { asker: sourceMac, lost: (lost) => back('host', lost) })) drops.unresolved++
    }
  }

  /** Puts a whole packet into a frame. */
  transmit(packet: Uint8Array, mac: number): boolean {
    return this.#framed(ETHERNET_HEADER + packet.length, (frame) => {
      frame.set(packet, ETHERNET_HEADER)
      writeEthernet(frame, mac, this.#mac, packet[0]! >> 4 === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
    })
  }

  /** The card a packet goes to. */
  #cardOf(destination: IpAddress): number {
    const { neighbours, own, nextHop } = this.#parts
    const known = neighbours.find(destination)
    if (known !== NOT_KNOWN) return known
    if (isMulticastIp(destination)) return multicastMac(destination)
    if (own.isBroadcast(destination)) return BROADCAST
    if (own.isOnLink(destination)) return NOT_KNOWN
    return nextHop(destination)?.mac ?? NO_WAY
  }

  /** What does not fit, or waits. */
  #sendSlowly(header: IpHeader, payload: Uint8Array, mac: number): boolean {
    const { neighbours, drops } = this.#parts
    const { source, destination } = header
    if (mac === NO_WAY) {
      drops.unroutable++
      return false
    }
    const bytes = ipHeaderBytes(source)
    if (payload.length + (source.length === 4 ? bytes : 0) > 0xffff) return false
    const id = (this.#id = (this.#id + 1) >>> 0)
    const whole = new Uint8Array(bytes + payload.length)
    const tooBig = whole.length > this.mtu
    writeIp(whole, 0, tooBig ? { ...header, id: id & 0xffff, flags: 0 } : header, payload.length)
    whole.set(payload, bytes)
    const pieces = !tooBig ? [whole] : source.length === 4 ? cutIpv4(whole, this.mtu) : cutIpv6(whole, this.mtu, id)
    let sent = true
    for (const piece of pieces) {
      if (mac !== NOT_KNOWN) sent = this.transmit(piece, mac) && sent
      else if (!neighbours.wait(destination, piece)) {
        drops.unresolved++
        sent = false
      }
    }
    return sent
  }

  #framed(length: number, write: (frame: Uint8Array) => void): boolean {
    const nested = this.#sending
    const frame = nested ? new Uint8Array(length) : this.#scratch.subarray(0, length)
    write(frame)
    this.#sending = true
    const sent = this.#port.send(frame)
    this.#sending = nested
    return sent
  }
}
