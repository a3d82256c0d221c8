/** DNS messages (RFC 1035, 4.1), over UDP and TCP (4.2.2). */
import { formatIp } from '../../../../src-shared/model/ip.ts'
import { readName } from '../../services/dns/name.ts'
import { asText, type Dissection } from './dissection.ts'

const HEADER = 12
const MAX_RECORDS = 32
const TYPES = new Map([
  [1, 'A'],
  [2, 'NS'],
  [5, 'CNAME'],
  [6, 'SOA'],
  [12, 'PTR'],
  [15, 'MX'],
  [16, 'TXT'],
  [28, 'AAAA'],
  [33, 'SRV'],
  [41, 'OPT'],
  [64, 'SVCB'],
  [65, 'HTTPS'],
  [255, 'any'],
])
const CODES = ['no error', 'format error', 'server failure', 'no such name', 'not implemented', 'refused']

export function dissectDnsStream(found: Dissection, payload: Uint8Array, at: number): void {
  const length = payload.length < 2 ? 0 : (payload[0]! << 8) | payload[1]!
  if (length >= HEADER && length <= payload.length - 2) dissectDns(found, payload.subarray(2, 2 + length), at + 2)
}

export function dissectDns(found: Dissection, message: Uint8Array, at: number): void {
  if (message.length < HEADER) {
    found.layer('DNS', at, message.length, [['Message', 'cut off']], 'malformed')
    return
  }
  const word = (offset: number): number => (message[offset]! << 8) | message[offset + 1]!
  const [id, flags] = [word(0), word(2)]
  const isAnswer = (flags & 0x8000) !== 0
  const code = CODES[flags & 15] ?? `code ${flags & 15}`
  const fields: [string, string | number][] = [
    ['Transaction', `0x${id.toString(16).padStart(4, '0')}`],
    ['Kind', isAnswer ? `answer, ${code}` : 'question'],
  ]
  let position = HEADER
  const questions: string[] = []
  for (let count = 0; count < Math.min(word(4), MAX_RECORDS); count++) {
    const name = readName(message, position)
    if (!name || name.end + 4 > message.length) break
    questions.push(`${typeOf(word(name.end))} ${name.name}`)
    position = name.end + 4
  }
  for (const question of questions) fields.push(['Question', question])
  const answers: string[] = []
  for (let count = 0; count < Math.min(word(6), MAX_RECORDS); count++) {
    const name = readName(message, position)
    if (!name || name.end + 10 > message.length) break
    const type = word(name.end)
    const start = name.end + 10
    const end = start + word(name.end + 8)
    if (end > message.length) break
    const value = valueOf(message, type, start, end)
    answers.push(value)
    fields.push(['Answer', `${name.name} ${typeOf(type)} ${value}`])
    position = end
  }
  found.layer('DNS', at, message.length, fields)
  const about = questions[0] ?? 'no question'
  found.say(isAnswer ? `${about}: ${answers.length > 0 ? answers.join(', ') : code}` : `${about}?`)
}

function valueOf(message: Uint8Array, type: number, start: number, end: number): string {
  const bytes = message.subarray(start, end)
  if ((type === 1 && bytes.length === 4) || (type === 28 && bytes.length === 16)) return formatIp(bytes)
  if (type === 2 || type === 5 || type === 12) return readName(message, start)?.name ?? 'damaged'
  if (type === 15) return readName(message, start + 2)?.name ?? 'damaged'
  if (type === 16) return asText(bytes.subarray(1))
  return `${bytes.length} bytes`
}

function typeOf(type: number): string {
  return TYPES.get(type) ?? `type ${type}`
}
