/** Frames for tests, built by the product's codecs. Addresses as text: "10.0.2.15", "fd00::1". */
import { buildArp } from '../../src-main/network/codec/arp.ts'
import { ETHERNET_HEADER, ETHERTYPE, parseMac, writeEthernet } from '../../src-main/network/codec/ethernet.ts'
import { buildIcmp, type IcmpMessage } from '../../src-main/network/codec/icmp.ts'
import { ipHeaderBytes, PROTOCOL, writeIp, type IpHeader } from '../../src-main/network/codec/ip.ts'
import { TCP_HEADER, writeTcp, type TcpSegment } from '../../src-main/network/codec/tcp.ts'
import { buildUdp } from '../../src-main/network/codec/udp.ts'
import { utf8 } from '../../src-shared/base/bytes.ts'
import { parseIp } from '../../src-shared/model/ip.ts'

export interface Ends {
  from: string
  to: string
  fromMac?: string
  toMac?: string
}

const MACS = { fromMac: '52:54:00:00:00:01', toMac: '52:54:00:00:00:02' }

export function ipFrame(
  { from, to, ...macs }: Ends,
  protocol: number,
  payload: Uint8Array,
  header: Partial<IpHeader> = {},
): Uint8Array<ArrayBuffer> {
  const { fromMac, toMac } = { ...MACS, ...macs }
  const [source, destination] = [parseIp(from)!, parseIp(to)!]
  const start = ETHERNET_HEADER + ipHeaderBytes(source)
  const frame = new Uint8Array(start + payload.length)
  writeEthernet(frame, parseMac(toMac), parseMac(fromMac), source.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
  writeIp(frame, ETHERNET_HEADER, { source, destination, protocol, ...header }, payload.length)
  frame.set(payload, start)
  return frame
}

export function tcpFrame(
  ends: Ends,
  segment: Partial<TcpSegment> & { sourcePort: number; destinationPort: number },
): Uint8Array<ArrayBuffer> {
  const { payload, ...rest } = {
    sequence: 0,
    acknowledgment: 0,
    flags: 0,
    window: 65_535,
    options: new Uint8Array(),
    payload: new Uint8Array(),
    ...segment,
  }
  const bytes = new Uint8Array(TCP_HEADER + rest.options.length + payload.length)
  bytes.set(payload, TCP_HEADER + rest.options.length)
  writeTcp(bytes, 0, parseIp(ends.from)!, parseIp(ends.to)!, rest, payload.length)
  return ipFrame(ends, PROTOCOL.tcp, bytes)
}

export function udpFrame(ends: Ends, sourcePort: number, destinationPort: number, payload: Uint8Array | string): Uint8Array<ArrayBuffer> {
  const bytes = typeof payload === 'string' ? utf8(payload) : payload
  return ipFrame(ends, PROTOCOL.udp, buildUdp(parseIp(ends.from)!, parseIp(ends.to)!, { sourcePort, destinationPort, payload: bytes }))
}

export function icmpFrame(ends: Ends, message: Partial<IcmpMessage> & { type: number }): Uint8Array<ArrayBuffer> {
  const [source, destination] = [parseIp(ends.from)!, parseIp(ends.to)!]
  const bytes = buildIcmp(source, destination, { code: 0, rest: 0, body: new Uint8Array(), ...message })
  return ipFrame(ends, source.length === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6, bytes)
}

export function arpFrame({ from, to, ...macs }: Ends, operation: number): Uint8Array<ArrayBuffer> {
  const { fromMac, toMac } = { ...MACS, ...macs }
  const arp = { operation, senderMac: parseMac(fromMac), senderIp: parseIp(from)!, targetMac: parseMac(toMac), targetIp: parseIp(to)! }
  return buildArp(parseMac(toMac), arp)
}
