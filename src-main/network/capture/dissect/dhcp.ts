/** DHCP (RFC 2131, 2132). */
import { formatIp } from '../../../../src-shared/model/ip.ts'
import { formatMac } from '../../codec/ethernet.ts'
import { DHCP, parseDhcp } from '../../services/dhcp/codec.ts'
import { OPTION } from '../../services/dhcp/options.ts'
import { asText, type Dissection } from './dissection.ts'

const TYPES = new Map(Object.entries(DHCP).map(([name, type]) => [type as number, name.toUpperCase()]))
const NUMBERS = new Map(Object.entries(OPTION).map(([name, number]) => [number as number, name]))

export function dissectDhcp(found: Dissection, payload: Uint8Array, at: number): void {
  const message = parseDhcp(payload)
  if (!message) {
    found.layer('DHCP', at, payload.length, [['Message', 'damaged, or of BOOTP alone']], 'malformed')
    return
  }
  const type = TYPES.get(message.type) ?? `type ${message.type}`
  const [client, yours] = [formatIp(message.ciaddr), formatIp(message.yiaddr)]
  const asked = message.options.get(OPTION.requestedAddress)
  const fields: [string, string | number][] = [
    ['Message', type],
    ['Transaction', `0x${message.xid.toString(16).padStart(8, '0')}`],
    ['Client’s card', formatMac(message.chaddr)],
    ['Client’s address', client],
    ['Given address', yours],
  ]
  if (message.file !== '') fields.push(['Boot file', message.file])
  for (const [number, bytes] of message.options) fields.push([`Option ${number}${nameOf(number)}`, shown(bytes)])
  found.layer('DHCP', at, payload.length, fields)
  const about = yours !== '0.0.0.0' ? ` ${yours}` : asked?.length === 4 ? ` ${formatIp(asked)}` : client !== '0.0.0.0' ? ` ${client}` : ''
  found.say(`${type}${about} for ${formatMac(message.chaddr)}`)
}

function nameOf(number: number): string {
  const name = NUMBERS.get(number)
  return name === undefined ? '' : ` (${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)})`
}

/** As text where it is that, as an address where it can be one, else as bytes. */
function shown(bytes: Uint8Array): string {
  if (bytes.length > 2 && bytes.every((byte) => byte >= 32 && byte < 127)) return asText(bytes)
  if (bytes.length === 4) return formatIp(bytes)
  return [...bytes.subarray(0, 64)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
