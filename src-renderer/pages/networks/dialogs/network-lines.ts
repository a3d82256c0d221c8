/** Reservations and names as lines of text: one each, as people write them. Pure. */
import { dnsRecordSchema, reservationSchema, type DnsRecord, type Reservation } from '../../../../src-shared/model/network.ts'

export type Lines<T> = { items: T[]; problem: null } | { items: null; problem: string }

export function reservationLines(reservations: readonly Reservation[]): string {
  return reservations.map(({ mac, address, name }) => [mac, address, name].filter((part) => part !== null).join(' ')).join('\n')
}

/** "52:54:00:12:34:56 10.0.2.50 web-1" */
export function parseReservations(text: string): Lines<Reservation> {
  return parse(text, (line) => {
    const [mac = '', address = '', name] = line.split(/\s+/)
    const parsed = reservationSchema.safeParse({ mac: mac.toLowerCase(), address, name: name ?? null })
    return parsed.success ? parsed.data : (parsed.error.issues[0]?.message ?? '')
  })
}

export function recordLines(records: readonly DnsRecord[]): string {
  return records.map(({ name, type, value }) => `${name} ${type} ${value}`).join('\n')
}

/** "www.lab.internal A 10.0.2.50", "docs CNAME www.lab.internal" */
export function parseRecords(text: string): Lines<DnsRecord> {
  return parse(text, (line) => {
    const [, name, type, value] = /^(\S+)\s+(\S+)\s+(.+)$/.exec(line) ?? []
    if (name === undefined) return 'Write a name, a type and a value, as in: www A 10.0.2.50'
    const parsed = dnsRecordSchema.safeParse({ name: name.toLowerCase(), type: type!.toUpperCase(), value: value!.trim() })
    return parsed.success ? parsed.data : (parsed.error.issues[0]?.message ?? '')
  })
}

/** @param read gives what stands in the line, or what is wrong with it */
function parse<T extends object>(text: string, read: (line: string) => T | string): Lines<T> {
  const items: T[] = []
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const item = read(line.trim())
    if (typeof item === 'string') return { items: null, problem: `Line ${at + 1}: ${item}` }
    items.push(item)
  }
  return { items, problem: null }
}
