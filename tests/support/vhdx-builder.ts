/** VHDX files for tests ([MS-VHDX]), whole or with a log that was not replayed: no program at hand leaves one behind. */
import { crc32c } from '../../src-main/storage/formats/vhdx/crc32c.ts'

export const MiB = 1024 * 1024
const LOG_AT = MiB
const BAT_AT = 2 * MiB
const METADATA_AT = 3 * MiB
export const DATA_AT = 4 * MiB
export const LOG_GUID = '00112233-4455-6677-8899-aabbccddeeff'

export interface VhdxChoice {
  size: number
  sector?: 512 | 4096
  /** Bits of the file parameters: 1 fixed, 2 has a parent. */
  flags?: number
  parentPath?: string
  /** BAT entries by index: state, and MiB in the file. */
  bat?: Record<number, { state: number; at?: number }>
  /** MiB of the file. */
  fileSize: number
  /** Entries of the log, in order, from this sector of the ring on. */
  log?: { start: number; entries: LogEntry[] }
}

export interface LogEntry {
  sequence: bigint
  writes: { at: number; bytes: Uint8Array }[]
  zeroes?: { at: number; length: number }[]
  /** MiB; what the file has, unless it says so. */
  flushedSize?: number
}

export function buildVhdx(choice: VhdxChoice): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(choice.fileSize * MiB)
  const fields = new DataView(file.buffer)
  setText(file, 0, 'vhdxfile')
  for (const [index, at] of [64 * 1024, 128 * 1024].entries()) {
    setText(file, at, 'head')
    fields.setBigUint64(at + 8, BigInt(7 + index), true)
    if (choice.log) setGuid(file, at + 48, LOG_GUID)
    fields.setUint16(at + 66, 1, true)
    fields.setUint32(at + 68, MiB, true)
    fields.setBigUint64(at + 72, BigInt(LOG_AT), true)
    fields.setUint32(at + 4, crc32c(file.subarray(at, at + 4096), 4), true)
  }
  for (const at of [192 * 1024, 256 * 1024]) {
    setText(file, at, 'regi')
    fields.setUint32(at + 8, 2, true)
    region(at + 16, '2dc27766-f623-4200-9d64-115e9bfd4a08', BAT_AT)
    region(at + 48, '8b7ca206-4790-4b9a-b8fe-575f050f886e', METADATA_AT)
    fields.setUint32(at + 4, crc32c(file.subarray(at, at + 65536), 4), true)
  }
  function region(at: number, id: string, where: number): void {
    setGuid(file, at, id)
    fields.setBigUint64(at + 16, BigInt(where), true)
    fields.setUint32(at + 24, MiB, true)
    fields.setUint32(at + 28, 1, true)
  }
  setText(file, METADATA_AT, 'metadata')
  const items: [string, Uint8Array][] = [
    ['caa16737-fa36-4d43-b3b6-33f0aa44e76b', numbers(4, MiB, choice.flags ?? 0)],
    ['2fa54224-cd1b-4876-b211-5dbed83bf4b8', numbers(4, choice.size % 2 ** 32, Math.floor(choice.size / 2 ** 32))],
    ['8141bf1d-a96f-4709-ba47-f233a8faab5f', numbers(4, choice.sector ?? 512)],
    ['cda348c7-445d-4471-9cc9-e9885251c556', numbers(4, 4096)],
    ['beca12ab-b2e6-4523-93ef-c309e000c746', new Uint8Array(16).fill(3)],
    ...(choice.parentPath === undefined
      ? []
      : [['a8d35f2d-b30b-454d-abf7-d3d84834ab0c', locator(choice.parentPath)] as [string, Uint8Array]]),
  ]
  fields.setUint16(METADATA_AT + 10, items.length, true)
  let itemAt = 65536
  for (const [index, [id, value]] of items.entries()) {
    const at = METADATA_AT + 32 * (index + 1)
    setGuid(file, at, id)
    fields.setUint32(at + 16, itemAt, true)
    fields.setUint32(at + 20, value.length, true)
    fields.setUint32(at + 24, 4, true)
    file.set(value, METADATA_AT + itemAt)
    itemAt += value.length
  }
  for (const [index, { state, at }] of Object.entries(choice.bat ?? {})) file.set(batEntry(state, at ?? 0), BAT_AT + Number(index) * 8)
  if (choice.log) writeLog(file, choice.log.start * 4096, choice.log.entries)
  return file
}

export function batEntry(state: number, atMiB: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, (BigInt(atMiB) << 20n) | BigInt(state), true)
  return bytes
}

/** The sector of the BAT that has these entries, as a log would have it. */
export function batSector(entries: Record<number, Uint8Array>): { at: number; bytes: Uint8Array } {
  const bytes = new Uint8Array(4096)
  for (const [index, entry] of Object.entries(entries)) bytes.set(entry, Number(index) * 8)
  return { at: BAT_AT, bytes }
}

/** Into a log of 1 MiB at 1 MiB. */
export function writeLog(file: Uint8Array, start: number, entries: readonly LogEntry[]): void {
  let at = start
  for (const { sequence, writes, zeroes = [], flushedSize } of entries) {
    const descriptors = writes.length + zeroes.length
    const dataAt = Math.ceil((64 + descriptors * 32) / 4096) * 4096
    const entry = new Uint8Array(dataAt + writes.length * 4096)
    const fields = new DataView(entry.buffer)
    setText(entry, 0, 'loge')
    fields.setUint32(8, entry.length, true)
    fields.setUint32(12, start, true)
    fields.setBigUint64(16, sequence, true)
    fields.setUint32(24, descriptors, true)
    setGuid(entry, 32, LOG_GUID)
    fields.setBigUint64(48, BigInt(flushedSize === undefined ? file.length : flushedSize * MiB), true)
    fields.setBigUint64(56, BigInt(file.length), true)
    for (const [index, write] of writes.entries()) {
      const descriptor = 64 + index * 32
      setText(entry, descriptor, 'desc')
      entry.set(write.bytes.subarray(4092, 4096), descriptor + 4)
      entry.set(write.bytes.subarray(0, 8), descriptor + 8)
      fields.setBigUint64(descriptor + 16, BigInt(write.at), true)
      fields.setBigUint64(descriptor + 24, sequence, true)
      const sector = dataAt + index * 4096
      entry.set(write.bytes, sector)
      setText(entry, sector, 'data')
      fields.setUint32(sector + 4, Number(sequence >> 32n), true)
      fields.setUint32(sector + 4092, Number(sequence & 0xffffffffn), true)
    }
    for (const [index, zero] of zeroes.entries()) {
      const descriptor = 64 + (writes.length + index) * 32
      setText(entry, descriptor, 'zero')
      fields.setBigUint64(descriptor + 8, BigInt(zero.length), true)
      fields.setBigUint64(descriptor + 16, BigInt(zero.at), true)
      fields.setBigUint64(descriptor + 24, sequence, true)
    }
    fields.setUint32(4, crc32c(entry, 4), true)
    for (let from = 0; from < entry.length; from += 4096) file.set(entry.subarray(from, from + 4096), LOG_AT + ((at + from) % MiB))
    at = (at + entry.length) % MiB
  }
}

function locator(path: string): Uint8Array {
  const key = utf16('relative_path')
  const value = utf16(path)
  const bytes = new Uint8Array(32 + key.length + value.length)
  const fields = new DataView(bytes.buffer)
  fields.setUint16(18, 1, true)
  fields.setUint32(20, 32, true)
  fields.setUint32(24, 32 + key.length, true)
  fields.setUint16(28, key.length, true)
  fields.setUint16(30, value.length, true)
  bytes.set(key, 32)
  bytes.set(value, 32 + key.length)
  return bytes
}

function utf16(text: string): Uint8Array {
  return new Uint8Array(Uint16Array.from(text, (char) => char.charCodeAt(0)).buffer)
}

function numbers(width: 4, ...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * width)
  for (const [index, value] of values.entries()) new DataView(bytes.buffer).setUint32(index * width, value, true)
  return bytes
}

function setText(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index)
}

export function setGuid(bytes: Uint8Array, at: number, text: string): void {
  const hex = text.replaceAll('-', '')
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
  for (const [index, from] of order.entries()) bytes[at + index] = parseInt(hex.slice(from * 2, from * 2 + 2), 16)
}
