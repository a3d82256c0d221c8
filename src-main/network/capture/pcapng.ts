/**
 * Writing pcapng (draft-ietf-opsawg-pcapng-03, sections in brackets): one section, an interface for each port, with its name, and enhanced packets with their direction. Little-endian, as most
 * readers are. Pure: blocks as bytes.
 */
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { MAX_FRAME } from '../port.ts'

/** [11.3] */
const BLOCK = { section: 0x0a0d_0d0a, interface: 1, statistics: 5, packet: 6 } as const
const LINKTYPE_ETHERNET = 1
/** Options [3.5, 4.1, 4.2, 4.3]. */
const OPTION = {
  comment: 1,
  application: 4,
  ...{ name: 2, description: 3, mac: 6, resolution: 9 },
  ...{ flags: 2, dropped: 5 },
} as const
/** A text is cut there: options have 16 bits of length, and people do not read longer ones. */
const MAX_TEXT = 1000

export interface CaptureInterface {
  /** As in "web-1:nic0". */
  name: string
  description: string
  /** 6 bytes; null for a gateway's. */
  mac: Uint8Array | null
}

/** @param application "Coppice 1.0" @param comment what the file holds, for people */
export function sectionHeader(application: string, comment: string): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(16)
  const view = new DataView(body.buffer)
  view.setUint32(0, 0x1a2b_3c4d, true)
  view.setUint16(4, 1, true)
  view.setUint16(6, 0, true)
  // The section's length is not known before its end.
  view.setBigInt64(8, -1n, true)
  return block(BLOCK.section, body, [
    [OPTION.comment, text(comment)],
    [OPTION.application, text(application)],
  ])
}

export function interfaceDescription({ name, description, mac }: CaptureInterface): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(8)
  const view = new DataView(body.buffer)
  view.setUint16(0, LINKTYPE_ETHERNET, true)
  view.setUint32(4, MAX_FRAME, true)
  return block(BLOCK.interface, body, [
    [OPTION.name, text(name)],
    [OPTION.description, text(description)],
    // Microseconds.
    [OPTION.resolution, Uint8Array.of(6)],
    ...(mac ? ([[OPTION.mac, mac]] as [number, Uint8Array][]) : []),
  ])
}

/** @param at ms since 1970, @param direction as the interface's machine sees it */
export function enhancedPacket(index: number, at: number, direction: 'in' | 'out', frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(20 + padded(frame.length))
  const view = new DataView(body.buffer)
  view.setUint32(0, index, true)
  setTime(view, 4, at)
  view.setUint32(12, frame.length, true)
  view.setUint32(16, frame.length, true)
  body.set(frame, 20)
  const flags = new Uint8Array(4)
  flags[0] = direction === 'in' ? 1 : 2
  return block(BLOCK.packet, body, [[OPTION.flags, flags]])
}

/** What a reader should know at the end. @param at ms since 1970, @param dropped frames that came too fast to be kept */
export function interfaceStatistics(index: number, at: number, dropped: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(12)
  const view = new DataView(body.buffer)
  view.setUint32(0, index, true)
  setTime(view, 4, at)
  const count = new Uint8Array(8)
  new DataView(count.buffer).setBigUint64(0, BigInt(dropped), true)
  return block(BLOCK.statistics, body, [[OPTION.dropped, count]])
}

/** Microseconds in two halves, the high one first. */
function setTime(view: DataView, offset: number, at: number): void {
  const micros = BigInt(Math.round(at * 1000))
  view.setUint32(offset, Number(micros >> 32n), true)
  view.setUint32(offset + 4, Number(micros & 0xffff_ffffn), true)
}

/** @param body of a length that is a multiple of four */
function block(type: number, body: Uint8Array, options: readonly [number, Uint8Array][]): Uint8Array<ArrayBuffer> {
  const optionBytes = options.reduce((sum, [, value]) => sum + 4 + padded(value.length), 4)
  const length = 12 + body.length + optionBytes
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, type, true)
  view.setUint32(4, length, true)
  bytes.set(body, 8)
  let at = 8 + body.length
  for (const [code, value] of options) {
    view.setUint16(at, code, true)
    view.setUint16(at + 2, value.length, true)
    bytes.set(value, at + 4)
    at += 4 + padded(value.length)
  }
  // The end of options is four zeroes.
  view.setUint32(length - 4, length, true)
  return bytes
}

function padded(length: number): number {
  return (length + 3) & ~3
}

function text(value: string): Uint8Array {
  return utf8([...value].slice(0, MAX_TEXT).join(''))
}
