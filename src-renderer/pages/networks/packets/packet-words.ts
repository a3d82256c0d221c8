/** Packets as text. Pure. */
import type { PacketLayerView, PacketsTarget } from '../../../../src-shared/api/networks.ts'
import type { PacketSummary } from '../../../../src-shared/model/packet.ts'

/** "18:04:05.123456", of this computer's clock. */
export function timeOfDay(at: number): string {
  const date = new Date(at)
  const two = (value: number): string => String(value).padStart(2, '0')
  const micros = Math.floor((at - Math.floor(at / 1000) * 1000) * 1000)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(micros).padStart(6, '0')}`
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0))
}

/** "0010  45 00 00 54 …  E..T": sixteen bytes a line. */
export function hexDump(bytes: Uint8Array): { offset: string; hex: string; text: string }[] {
  const lines: { offset: string; hex: string; text: string }[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)]
    lines.push({
      offset: at.toString(16).padStart(4, '0'),
      hex: part.map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
      text: part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·')).join(''),
    })
  }
  return lines
}

/** The dump as text, a line each. */
export function dumpText(bytes: Uint8Array): string {
  return hexDump(bytes)
    .map(({ offset, hex, text }) => `${offset}  ${hex.padEnd(47)}  ${text}`)
    .join('\n')
}

/** "450000541c46": as other analysers take it. */
export function hexText(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** A packet's line. */
export function lineText({ at, source, destination, protocol, length, info }: PacketSummary): string {
  return `${timeOfDay(at)}  ${source} → ${destination}  ${protocol}  ${length} bytes  ${info}`
}

/** A packet as people send it to each other: its line, and each layer with its fields. */
export function packetText(packet: PacketSummary, layers: readonly PacketLayerView[]): string {
  const parts = layers.flatMap(({ name, fields }) => [name, ...fields.map((field) => `    ${field.name}: ${field.value}`)])
  return [lineText(packet), ...parts].join('\n')
}

/** What a place's focus is about; null: nothing whose packets can be listed. */
export function targetOf(focus: string | null): PacketsTarget | null {
  const [kind, name = '', nic] = (focus ?? '').split('/')
  if (kind === 'network' && name !== '') return { network: name }
  if (kind === 'machine' && name !== '' && nic !== undefined) return { machine: name, nic }
  return kind === 'alert' && name !== '' ? { alert: name } : null
}

export function focusOf(target: PacketsTarget): string {
  if ('network' in target) return `network/${target.network}`
  return 'alert' in target ? `alert/${target.alert}` : `machine/${target.machine}/${target.nic}`
}

/** A flow's bytes as people read them: text where they are that, each line ending kept. */
export function readable(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-8', { fatal: false }).decode(bytes)
  // eslint-disable-next-line no-control-regex -- finding control characters is the point
  return text.replace(/\r\n/g, '\n').replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffd]/g, '·')
}
