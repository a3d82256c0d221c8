/** Packets that outlive the call that lent them. */
import type { IncomingPacket } from '../ip-output.ts'

/** Bytes that an error quotes: all that the smallest IPv6 header chains and eight bytes more take, and nothing of what hosts send in them. */
const QUOTED = 128

/** To be refused later: the addresses and the beginning. */
export function keepToRefuse(packet: IncomingPacket): IncomingPacket {
  const [payload, whole] = [packet.payload.slice(0, QUOTED), packet.whole.slice(0, QUOTED)]
  return { ...packet, source: packet.source.slice(), destination: packet.destination.slice(), payload, whole }
}

export function keepWhole(packet: IncomingPacket): IncomingPacket {
  const [payload, whole] = [packet.payload.slice(), packet.whole.slice()]
  return { ...packet, source: packet.source.slice(), destination: packet.destination.slice(), payload, whole }
}
