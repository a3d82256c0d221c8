/**
 * What a list of packets shows: `tcp port 80`, `host 10.0.2.15 and not arp`, `dns or "example.org"`. Words that stand side by side must all fit.
 *   one of PACKET_WORDS · host ADDRESS · net SUBNET · mac ADDRESS · port NUMBER · "text in the line" · not · and · or · ( )
 */
import { inSubnet, parseIp, parseSubnet, sameIp } from './ip.ts'

/** What a packet may be called. */
export const PACKET_WORDS = [
  ...['arp', 'ip', 'ip6', 'icmp', 'ping', 'tcp', 'udp', 'vlan', 'broadcast', 'multicast', 'fragment', 'malformed'],
  ...['dhcp', 'dhcpv6', 'dns', 'http', 'tls', 'ntp', 'tftp', 'quic', 'ssdp', 'syn', 'fin', 'rst', 'in', 'out'],
] as const

/** What is asked about a packet. */
export interface FilterFacts {
  names: ReadonlySet<string>
  macs: readonly number[]
  addresses: readonly Uint8Array[]
  ports: readonly number[]
  /** The line that is shown of it. */
  text: string
}

export type PacketFilter = (packet: FilterFacts) => boolean

const MAX_FILTER = 1000
const MAX_TERMS = 64

/** An empty filter shows everything. `problem`: a sentence. */
export function parsePacketFilter(text: string): { filter: PacketFilter; problem: null } | { filter: null; problem: string } {
  if (text.length > MAX_FILTER) return { filter: null, problem: `The filter is longer than ${MAX_FILTER} characters.` }
  try {
    const reader = new Reader(text)
    const filter = reader.empty ? () => true : reader.either()
    reader.expectEnd()
    return { filter, problem: null }
  } catch (error) {
    if (error instanceof FilterProblem) return { filter: null, problem: error.message }
    throw error
  }
}

class FilterProblem extends Error {}

class Reader {
  #words: string[]
  #at = 0

  constructor(text: string) {
    this.#words = text.match(/"[^"]*"?|[()]|[^\s()"]+/g) ?? []
    if (this.#words.length > MAX_TERMS) throw new FilterProblem(`The filter has more than ${MAX_TERMS} words.`)
  }

  get empty(): boolean {
    return this.#words.length === 0
  }

  expectEnd(): void {
    const word = this.#peek()
    if (word !== null) throw new FilterProblem(`The filter ends before “${word}”: a bracket is missing its partner.`)
  }

  either(): PacketFilter {
    const parts = [this.#all()]
    while (this.#peek() === 'or') {
      this.#at++
      parts.push(this.#all())
    }
    return parts.length === 1 ? parts[0]! : (packet) => parts.some((part) => part(packet))
  }

  #all(): PacketFilter {
    const parts = [this.#one()]
    for (let word = this.#peek(); word !== null && word !== 'or' && word !== ')'; word = this.#peek()) {
      if (word === 'and') this.#at++
      parts.push(this.#one())
    }
    return parts.length === 1 ? parts[0]! : (packet) => parts.every((part) => part(packet))
  }

  #one(): PacketFilter {
    const word = this.#next('a word')
    if (word === 'not' || word === '!') {
      const part = this.#one()
      return (packet) => !part(packet)
    }
    if (word === '(') {
      const part = this.either()
      if (this.#next('a closing bracket') !== ')') throw new FilterProblem('A bracket is not closed.')
      return part
    }
    if (word.startsWith('"')) {
      const sought = word.slice(1, word.endsWith('"') && word.length > 1 ? -1 : undefined).toLowerCase()
      return ({ text }) => text.toLowerCase().includes(sought)
    }
    return this.#named(word)
  }

  #named(word: string): PacketFilter {
    switch (word) {
      case 'host': {
        const text = this.#next('an address behind “host”')
        const address = parseIp(text)
        if (!address) throw new FilterProblem(`“${text}” is no IP address. Write it as in: host 10.0.2.15`)
        return ({ addresses }) => addresses.some((one) => sameIp(one, address))
      }
      case 'net': {
        const text = this.#next('a subnet behind “net”')
        const subnet = parseSubnet(text)
        if (!subnet) throw new FilterProblem(`“${text}” is no subnet. Write it as in: net 10.0.2.0/24`)
        return ({ addresses }) => addresses.some((one) => inSubnet(one, subnet))
      }
      case 'mac': {
        const text = this.#next('an address behind “mac”')
        if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text))
          throw new FilterProblem(`“${text}” is no MAC address. Write it as in: mac 52:54:00:12:34:56`)
        const mac = parseInt(text.replaceAll(':', ''), 16)
        return ({ macs }) => macs.includes(mac)
      }
      case 'port': {
        const text = this.#next('a number behind “port”')
        const port = Number(text)
        if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new FilterProblem(`“${text}” is no port. Write it as in: port 80`)
        return ({ ports }) => ports.includes(port)
      }
      default: {
        const name = word.toLowerCase()
        if (!(PACKET_WORDS as readonly string[]).includes(name))
          throw new FilterProblem(
            `The filter does not know “${word}”. It knows ${PACKET_WORDS.join(', ')}, host, net, mac, port and "text".`,
          )
        return ({ names }) => names.has(name)
      }
    }
  }

  #peek(): string | null {
    return this.#words[this.#at] ?? null
  }

  #next(what: string): string {
    const word = this.#words[this.#at++]
    if (word === undefined || (word === ')' && what !== 'a closing bracket')) throw new FilterProblem(`The filter lacks ${what}.`)
    return word
  }
}
