/** A card with as much of a guest behind it as a test needs: it gets an address by DHCP, answers for it, and asks one thing at a time. */
import { ARP, parseArp } from '../../../src-main/network/codec/arp.ts'
import { BROADCAST, ETHERNET_HEADER, ETHERTYPE, ethertypeOf, formatMac } from '../../../src-main/network/codec/ethernet.ts'
import { ICMP, ICMPV6, parseIcmp } from '../../../src-main/network/codec/icmp.ts'
import { parseIp as parsePacket, PROTOCOL, type IpPacket } from '../../../src-main/network/codec/ip.ts'
import { parseUdp } from '../../../src-main/network/codec/udp.ts'
import { buildDhcp, DHCP, parseDhcp, type DhcpMessage } from '../../../src-main/network/services/dhcp/codec.ts'
import { OPTION } from '../../../src-main/network/services/dhcp/options.ts'
import { formatIp, parseIp } from '../../../src-shared/model/ip.ts'
import { arpFrame, icmpFrame, udpFrame } from '../../support/frames.ts'
import { until } from '../../support/until.ts'
import { RingCard } from './network-thread.ts'

export class GuestCard extends RingCard {
  address = '0.0.0.0'
  #ports = 40_000

  /** Takes a lease, as a guest does. @returns the acknowledgement */
  async lease(hostName: string): Promise<DhcpMessage> {
    const offer = await this.#ask(DHCP.discover, new Map(), DHCP.offer)
    const wish = new Map([
      [OPTION.serverId, offer.options.get(OPTION.serverId)!],
      [OPTION.requestedAddress, offer.yiaddr],
      [OPTION.hostName, Buffer.from(hostName)],
    ])
    const acknowledged = await this.#ask(DHCP.request, wish, DHCP.ack)
    this.address = formatIp(acknowledged.yiaddr)
    return acknowledged
  }

  /** Who has the address; asks until somebody says so. */
  async resolve(address: string): Promise<string> {
    let found: number | null = null
    await until(() => {
      this.send(arpFrame({ from: this.address, to: address, fromMac: this.plug.mac, toMac: formatMac(BROADCAST) }, ARP.request))
      for (const frame of this.got) {
        const arp = ethertypeOf(frame) === ETHERTYPE.arp ? parseArp(frame.subarray(ETHERNET_HEADER)) : null
        if (arp?.operation === ARP.reply && formatIp(arp.senderIp) === address) found = arp.senderMac
      }
      return found !== null
    })
    return formatMac(found!)
  }

  /** Answers who asks for its address, from now on. */
  answerArp(): void {
    this.onFrame = (frame) => {
      const arp = ethertypeOf(frame) === ETHERTYPE.arp ? parseArp(frame.subarray(ETHERNET_HEADER)) : null
      if (arp?.operation !== ARP.request || formatIp(arp.targetIp) !== this.address) return
      const ends = { from: this.address, to: formatIp(arp.senderIp), fromMac: this.plug.mac, toMac: formatMac(arp.senderMac) }
      this.send(arpFrame(ends, ARP.reply))
    }
  }

  /** An echo there and back; asks until it comes. @param via the neighbour's card */
  async ping(address: string, via: string): Promise<void> {
    const asked = {
      type: parseIp(address)!.length === 4 ? ICMP.echoRequest : ICMPV6.echoRequest,
      rest: 0x1234_0001,
      body: Buffer.from('ping'),
    }
    await until(() => {
      this.send(icmpFrame({ from: this.address, to: address, fromMac: this.plug.mac, toMac: via }, asked))
      return this.#packets().some((packet) => {
        const message = packet.protocol === PROTOCOL.icmp ? parseIcmp(packet) : null
        return formatIp(packet.source) === address && message?.type === ICMP.echoReply && Buffer.from(message.body).toString() === 'ping'
      })
    })
  }

  /** A datagram, and the first that comes back for it. */
  async udp(address: string, port: number, via: string, payload: Uint8Array): Promise<Uint8Array> {
    const own = this.#ports++
    this.send(udpFrame({ from: this.address, to: address, fromMac: this.plug.mac, toMac: via }, own, port, payload))
    let answer: Uint8Array | null = null
    await until(() => {
      for (const packet of this.#packets()) {
        const datagram = packet.protocol === PROTOCOL.udp ? parseUdp(packet) : null
        if (datagram?.destinationPort === own) answer = datagram.payload
      }
      return answer !== null
    })
    return answer!
  }

  async #ask(type: number, options: Map<number, Uint8Array>, expected: number): Promise<DhcpMessage> {
    const xid = ++this.#ports
    const message = buildDhcp({ op: 'request', type, xid, chaddr: this.mac, broadcast: true, options })
    const ends = { from: '0.0.0.0', to: '255.255.255.255', fromMac: this.plug.mac, toMac: formatMac(BROADCAST) }
    let answer: DhcpMessage | null = null
    this.send(udpFrame(ends, 68, 67, message))
    await until(() => {
      for (const packet of this.#packets()) {
        const datagram = packet.protocol === PROTOCOL.udp ? parseUdp(packet) : null
        const found = datagram?.destinationPort === 68 ? parseDhcp(datagram.payload) : null
        if (found?.xid === xid && found.chaddr === this.mac && found.type === expected) answer = found
      }
      return answer !== null
    })
    return answer!
  }

  #packets(): IpPacket[] {
    return this.got.flatMap((frame) => (ethertypeOf(frame) === ETHERTYPE.arp ? [] : (parsePacket(frame.subarray(ETHERNET_HEADER)) ?? [])))
  }
}
