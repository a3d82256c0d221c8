/** Writes segments to machines into the same two places again and again: a packet is lent for the call. */
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import { PROTOCOL } from '../../codec/ip.ts'
import { TCP_HEADER, writeTcp } from '../../codec/tcp.ts'
import { roomFor, type IpOutput } from '../../ip-output.ts'
import type { SequenceRing } from './sequence-ring.ts'

export const NO_OPTIONS = new Uint8Array(0)
const MAX_HEADER = 60

/** Who talks to whom. `remote` is whom the machine thinks it talks to. */
export interface FlowEnds {
  readonly guest: IpAddress
  readonly guestPort: number
  readonly remote: IpAddress
  readonly remotePort: number
  /** The machine's card; absent: not heard of yet. */
  mac: number | undefined
}

export interface SegmentHeader {
  sourcePort: number
  destinationPort: number
  sequence: number
  acknowledgment: number
  flags: number
  window: number
  options: Uint8Array
}

export class SegmentWriter {
  readonly #output: IpOutput
  /** Segments without data have their own place: one may answer while another is on its way. */
  readonly #empty = roomFor(MAX_HEADER)
  readonly #plain = this.#empty.subarray(0, TCP_HEADER)
  #room = roomFor(0)
  #view = this.#room
  readonly #ip = { source: NO_OPTIONS as IpAddress, destination: NO_OPTIONS as IpAddress, protocol: PROTOCOL.tcp }
  readonly #header: SegmentHeader = {
    ...{ sourcePort: 0, destinationPort: 0, sequence: 0, acknowledgment: 0, flags: 0, window: 0, options: NO_OPTIONS },
  }

  constructor(output: IpOutput) {
    this.#output = output
  }

  /** Bytes of payload in a packet without options (RFC 6691). */
  maxSegment(address: IpAddress): number {
    return this.#output.mtu - (address.length === 4 ? 40 : 60)
  }

  /** @param ring has `length` bytes from `sequence` on. @returns false where there was no room on the way */
  send(
    ends: FlowEnds,
    sequence: number,
    acknowledgment: number,
    flags: number,
    window: number,
    options: Uint8Array,
    ring: SequenceRing | null,
    length: number,
  ): boolean {
    const header = this.#header
    header.sourcePort = ends.remotePort
    header.destinationPort = ends.guestPort
    header.sequence = sequence
    header.acknowledgment = acknowledgment
    header.flags = flags
    header.window = window
    header.options = options
    const start = TCP_HEADER + options.length
    const bytes = length > 0 ? this.#place(start + length) : start === TCP_HEADER ? this.#plain : this.#empty
    if (length > 0) ring!.copyTo(sequence, length, bytes, start)
    const total = writeTcp(bytes, 0, ends.remote, ends.guest, header, length)
    const ip = this.#ip
    ip.source = ends.remote
    ip.destination = ends.guest
    return this.#output.send(ip, bytes.length === total ? bytes : bytes.subarray(0, total), ends.mac)
  }

  /** A place of this length; mostly the same as before. */
  #place(length: number): Uint8Array<ArrayBuffer> {
    if (this.#view.length === length) return this.#view
    if (this.#room.length < length) this.#room = roomFor(Math.max(length, this.#output.mtu))
    this.#view = this.#room.subarray(0, length)
    return this.#view
  }
}
