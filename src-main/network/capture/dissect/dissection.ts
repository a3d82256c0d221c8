/** What is found in a frame while it is looked through: layers with their fields, and one line about it. All text comes from guests: it is made harmless where it is added. */
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import { MAX_PACKET_INFO } from '../../../../src-shared/model/packet.ts'
import type { PacketLayerView } from '../../../../src-shared/threads/network-thread.ts'

/** Characters of one field. */
const MAX_VALUE = 400
/** Fields of a layer: a packet may be made of thousands of options. */
const MAX_FIELDS = 200

export interface Dissected {
  layers: PacketLayerView[]
  /** Addresses as the innermost layer has them. */
  source: string
  destination: string
  /** The innermost that was understood, as people write it: "DHCP". */
  protocol: string
  info: string
  /** What filters ask for. Names in small letters: "ip", "tcp", "dns". */
  names: ReadonlySet<string>
  macs: readonly number[]
  addresses: readonly IpAddress[]
  ports: readonly number[]
}

export class Dissection implements Dissected {
  readonly frame: Uint8Array
  readonly layers: PacketLayerView[] = []
  source = ''
  destination = ''
  protocol = 'Frame'
  info = ''
  readonly names = new Set<string>()
  readonly macs: number[] = []
  readonly addresses: IpAddress[] = []
  readonly ports: number[] = []

  constructor(frame: Uint8Array) {
    this.frame = frame
  }

  /**
   * A layer that begins at `offset` and is `length` bytes long; it is the innermost until the next one.
   * @param names what filters call it, beside the name in small letters
   */
  layer(name: string, offset: number, length: number, fields: readonly [string, string | number][], ...names: string[]): void {
    this.protocol = name
    this.names.add(name.toLowerCase())
    for (const other of names) this.names.add(other)
    const shown = fields.slice(0, MAX_FIELDS).map(([field, value]) => ({ name: field, value: harmless(String(value), MAX_VALUE) }))
    this.layers.push({ name, fields: shown, offset, length })
  }

  say(info: string): void {
    this.info = harmless(info, MAX_PACKET_INFO)
  }
}

// eslint-disable-next-line no-control-regex -- finding control characters is the point
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu

function harmless(text: string, most: number): string {
  const cut = text.length > most ? `${text.slice(0, most - 1)}…` : text
  return cut.toWellFormed().replace(CONTROL, '·')
}

/** Bytes as text where they are mostly that: each that is not ASCII becomes a dot. */
export function asText(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = ''
  for (let at = start; at < end; at++) text += bytes[at]! >= 32 && bytes[at]! < 127 ? String.fromCharCode(bytes[at]!) : '·'
  return text
}

export function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`
}

/** "SYN, ACK" of the bits that are set; names from the lowest bit on. */
export function flagNames(value: number, names: readonly string[]): string {
  return names.filter((_, bit) => value & (1 << bit)).join(', ')
}
