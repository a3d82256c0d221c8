/**
 * What the network's DNS knows by itself: its domain with the machines' names (also without the domain), the gateway's, static records, the reverse names of its subnets,
 * and localhost (RFC 6761, 6.3). Its own domain and subnets end here: what is not in them does not exist (RFC 2308), and nobody outside is asked.
 */
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import { formatIp, inSubnet, parseIp, type IpAddress, type Subnet } from '../../../../src-shared/model/ip.ts'
import type { DnsRecord as StaticRecord } from '../../../../src-shared/model/network.ts'
import { CLASS_IN, encodedName, RCODE, TYPE, type DnsRecord } from './codec.ts'
import { labelHosts, type KnownHost } from './known-hosts.ts'
import { encodeName, isWithin, labelsOf } from './name.ts'

/** Seconds that answers may be kept: machines come and go. */
const TTL = 30
const NEGATIVE_TTL = 10
/** Names that lead to names. */
const MAX_ALIASES = 8
/** The gateway's. */
const GATEWAY_LABELS = ['gateway', 'host'] as const
const LOCALHOST = 'localhost'

export interface ZoneSettings {
  /** In small letters. */
  domain: string
  /** Of the gateway, IPv4 and IPv6. */
  gateway: readonly IpAddress[]
  subnets: readonly Subnet[]
  records: readonly StaticRecord[]
}

export interface ZoneAnswer {
  rcode: number
  answers: DnsRecord[]
  authority: DnsRecord[]
  /** The answers end with an alias for this name, which is to be asked for elsewhere. */
  elsewhere: string | null
}

interface Data {
  type: number
  data: Uint8Array
  /** Of type CNAME: the name that it leads to, as a key. */
  alias?: string
}

export class Zone {
  #settings: ZoneSettings
  readonly #hosts: () => readonly KnownHost[]
  /** By name, as a key. Null: to be made anew. */
  #names: Map<string, Data[]> | null = null
  #above = new Set<string>()
  /** Names of addresses, by their text. */
  #reverse = new Map<string, string>()

  /** @param hosts what there is now; asked for when it is needed, after `changed` */
  constructor(settings: ZoneSettings, hosts: () => readonly KnownHost[]) {
    this.#settings = settings
    this.#hosts = hosts
  }

  configure(settings: ZoneSettings): void {
    this.#settings = settings
    this.changed()
  }

  /** Machines or their addresses changed. */
  changed(): void {
    this.#names = null
  }

  /** Null: nothing is known of it here. @param key in small letters */
  answer(key: string, type: number): ZoneAnswer | null {
    const names = this.#names ?? this.#build()
    const answers: DnsRecord[] = []
    let name = key
    for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
      const found = this.#find(names, name)
      if (found === null) return answers.length > 0 ? { rcode: RCODE.ok, answers, authority: [], elsewhere: name } : null
      if (found === 'no such name') return { rcode: RCODE.noName, answers, authority: [this.#authority(name)], elsewhere: null }
      const alias = type === TYPE.cname || type === TYPE.any ? undefined : found.find((one) => one.type === TYPE.cname)
      const fitting = alias ? [alias] : found.filter((one) => type === TYPE.any || one.type === type)
      const owner = name
      answers.push(...fitting.map((one) => ({ name: owner, type: one.type, class: CLASS_IN, ttl: TTL, data: one.data })))
      if (!alias) {
        const authority = fitting.length === 0 ? [this.#authority(name)] : []
        return { rcode: RCODE.ok, answers, authority, elsewhere: null }
      }
      name = alias.alias!
    }
    return { rcode: RCODE.failure, answers: [], authority: [], elsewhere: null }
  }

  #find(names: ReadonlyMap<string, Data[]>, name: string): readonly Data[] | 'no such name' | null {
    const { domain } = this.#settings
    if (isWithin(name, LOCALHOST)) return LOCAL
    const known = names.get(name)
    if (known) return known
    if (name === domain)
      return [
        { type: TYPE.soa, data: this.#authority(name).data },
        { type: TYPE.ns, data: encodedName(this.#gatewayName()) },
      ]
    if (isWithin(name, domain)) return this.#above.has(name) ? [] : 'no such name'
    return this.#findReverse(name)
  }

  #findReverse(name: string): readonly Data[] | 'no such name' | null {
    const { subnets } = this.#settings
    const address = addressOfReverse(name)
    if (!address) return null
    if (formatIp(address) === '127.0.0.1' || formatIp(address) === '::1') return [{ type: TYPE.ptr, data: encodedName(LOCALHOST) }]
    if (!subnets.some((subnet) => inSubnet(address, subnet))) return null
    const known = this.#reverse.get(formatIp(address))
    return known === undefined ? 'no such name' : [{ type: TYPE.ptr, data: encodedName(known) }]
  }

  #gatewayName(): string {
    return `${GATEWAY_LABELS[0]}.${this.#settings.domain}`
  }

  /** SOA of what the name is in (RFC 2308, 3). */
  #authority(name: string): DnsRecord {
    const { domain } = this.#settings
    const labels = labelsOf(name)
    const owner = isWithin(name, domain)
      ? domain
      : name.endsWith('.arpa')
        ? labels.slice(name.endsWith('.ip6.arpa') ? -18 : -5).join('.')
        : name
    const names = [...encodedName(this.#gatewayName()), ...encodedName(`hostmaster.${domain}`)]
    // Serial, refresh, retry, expire, minimum.
    const numbers = [1, 3600, 600, 86_400, NEGATIVE_TTL].flatMap((value) => [
      value >>> 24,
      (value >>> 16) & 255,
      (value >>> 8) & 255,
      value & 255,
    ])
    return { name: owner, type: TYPE.soa, class: CLASS_IN, ttl: NEGATIVE_TTL, data: Uint8Array.from([...names, ...numbers]) }
  }

  #build(): Map<string, Data[]> {
    const { domain, gateway, records } = this.#settings
    const names = new Map<string, Data[]>()
    const reverse = new Map<string, string>()
    const put = (name: string, data: Data): void => void (names.get(name)?.push(data) ?? names.set(name, [data]))
    /** In the domain, and by its label alone. */
    const putLabel = (label: string, data: Data): void => {
      put(label, data)
      put(`${label}.${domain}`, data)
    }
    const fixed = new Set<string>()
    for (const record of records) {
      const label = record.name.includes('.') ? labelIn(record.name, domain) : record.name
      if (label === null) put(record.name, dataOf(record))
      else {
        putLabel(label, dataOf(record))
        fixed.add(label)
      }
      const name = label === null ? record.name : fullName(label, domain)
      if (record.type === 'A' || record.type === 'AAAA') reverse.set(formatIp(parseIp(record.value)!), name)
    }
    for (const label of GATEWAY_LABELS) if (!fixed.has(label)) for (const address of gateway) putLabel(label, addressData(address))
    for (const address of gateway) reverse.set(formatIp(address), this.#gatewayName())
    const taken = new Set([...fixed, ...GATEWAY_LABELS, LOCALHOST])
    for (const [label, { addresses }] of labelHosts(this.#hosts(), taken))
      for (const address of addresses) {
        putLabel(label, addressData(address))
        if (!reverse.has(formatIp(address))) reverse.set(formatIp(address), fullName(label, domain))
      }
    this.#names = names
    this.#reverse = reverse
    this.#above = new Set([...names.keys()].flatMap(ancestors))
    return names
  }
}

function addressData(address: IpAddress): Data {
  return { type: address.length === 4 ? TYPE.a : TYPE.aaaa, data: address }
}

const LOCAL: readonly Data[] = [addressData(parseIp('127.0.0.1')!), addressData(parseIp('::1')!)]

function dataOf(record: StaticRecord): Data {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return addressData(parseIp(record.value)!)
    case 'CNAME':
      return { type: TYPE.cname, data: encodedName(record.value), alias: record.value }
    case 'TXT': {
      // Strings of 255 bytes at most (RFC 1035, 3.3.14).
      const text = utf8(record.value)
      const strings: number[] = []
      for (let at = 0; at === 0 || at < text.length; at += 255)
        strings.push(Math.min(255, text.length - at), ...text.subarray(at, at + 255))
      return { type: TYPE.txt, data: Uint8Array.from(strings) }
    }
  }
}

/** In the domain; the label alone where that would be too long for a name (RFC 1035, 2.3.4). */
function fullName(label: string, domain: string): string {
  const name = `${label}.${domain}`
  return encodeName(name) ? name : label
}

/** "web" of web.lab.internal; null: not right below the domain. */
function labelIn(name: string, domain: string): string | null {
  const label = name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : null
  return label === null || label.includes('.') ? null : label
}

function ancestors(name: string): string[] {
  const labels = labelsOf(name)
  return labels.slice(1).map((_, at) => labels.slice(at + 1).join('.'))
}

/** RFC 1035, 3.5; RFC 3596, 2.5. Null: not the name of one address. */
function addressOfReverse(key: string): IpAddress | null {
  const labels = labelsOf(key)
  if (key.endsWith('.in-addr.arpa') && labels.length === 6) return parseIp(labels.slice(0, 4).reverse().join('.'))
  if (!key.endsWith('.ip6.arpa') || labels.length !== 34) return null
  const digits = labels.slice(0, 32).reverse().join('')
  return /^[0-9a-f]{32}$/.test(digits) ? Uint8Array.from(digits.match(/../g)!, (pair) => parseInt(pair, 16)) : null
}
