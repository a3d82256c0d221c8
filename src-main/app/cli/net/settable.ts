/** The keys of `coppice net set NAME key=value …`. */
import { resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import {
  DNS_TYPES,
  MTU,
  NETWORK_KINDS,
  RULE_ACTIONS,
  RULE_PROTOCOLS,
  WATCHES,
  type DnsRecord,
  type Network,
  type NetworkPatch,
  type PolicyRule,
} from '../../../../src-shared/model/network.ts'
import { oneOf, sizeArgument, wholeNumber } from '../arguments.ts'
import { UsageError } from '../errors.ts'
import { timeArgument } from './values.ts'

interface Key {
  /** How the value is written, for the help. */
  value: string
  /** The field that it sets, as errors name it. */
  field: string
  /** `network` has what the keys before set. */
  set(text: string, network: Network, machineOf: MachineOf): NetworkPatch
}

/** A machine's id, by what people call it. @throws AppError `not-found` */
export type MachineOf = (name: string) => string

const onOff = (text: string): boolean => oneOf('on or off', ['on', 'off'])(text) === 'on'
const orNull = (text: string): string | null => (text === '' ? null : text)
const list = (text: string): string[] => (text === '' ? [] : text.split(','))
const watches = (text: string): (typeof WATCHES)[number][] => list(text).map(oneOf('something that is watched for', WATCHES))

type Flag = 'ntp' | 'hostAccess' | 'linkLocalAccess'
const flag = (field: Flag, what: string): Key => ({ value: `on | off (${what})`, field, set: (text) => ({ [field]: onOff(text) }) })

export const NETWORK_KEYS: Readonly<Record<string, Key>> = {
  kind: { value: NETWORK_KINDS.join(' | '), field: 'kind', set: (text) => ({ kind: oneOf('a kind of network', NETWORK_KINDS)(text) }) },
  ipv4: { value: 'CIDR, as in 10.0.5.0/24, or empty for none', field: 'ipv4', set: (text) => ({ ipv4: orNull(text) }) },
  ipv6: { value: 'CIDR, as in fd00:5::/64, or empty for none', field: 'ipv6', set: (text) => ({ ipv6: orNull(text) }) },
  mtu: { value: `${MTU.min} to ${MTU.max} bytes`, field: 'mtu', set: (text) => ({ mtu: wholeNumber('an MTU', MTU.min, MTU.max)(text) }) },
  'host-access': flag('hostAccess', 'the gateway’s address reaches this computer’s loopback'),
  'link-local-access': flag('linkLocalAccess', 'machines reach link-local addresses, also those at which clouds tell secrets'),
  ntp: flag('ntp', 'the gateway tells the time'),
  dhcp: { value: 'on | off', field: 'dhcp.enabled', set: (text, { dhcp }) => ({ dhcp: { ...dhcp, enabled: onOff(text) } }) },
  'dhcp-range': {
    value: 'FIRST-LAST, or empty for all that are free',
    field: 'dhcp.from',
    set: (text, { dhcp }) => {
      const [from = '', to = '', ...rest] = text.split('-')
      if (rest.length > 0 || (text !== '' && to === ''))
        throw new InvalidArgumentError('Write the first and the last address, as in 10.0.5.50-10.0.5.99.')
      return { dhcp: { ...dhcp, from: orNull(from), to: orNull(to) } }
    },
  },
  'lease-time': {
    value: 'TIME, as in 1h',
    field: 'dhcp.leaseTime',
    set: (text, { dhcp }) => ({ dhcp: { ...dhcp, leaseTime: Math.round(timeArgument(text) / 1000) } }),
  },
  reserve: {
    value: 'MAC=ADDRESS[=NAME], or MAC= to take it back',
    field: 'dhcp.reservations',
    set: (text, { dhcp }) => {
      const [mac = '', address = '', name = ''] = text.toLowerCase().split('=')
      const others = dhcp.reservations.filter((one) => one.mac !== mac)
      if (address === '' && others.length === dhcp.reservations.length) throw new InvalidArgumentError(`Nothing is reserved for “${mac}”.`)
      return { dhcp: { ...dhcp, reservations: address === '' ? others : [...others, { mac, address, name: orNull(name) }] } }
    },
  },
  router: {
    value: 'ADDRESS that machines are told instead of the gateway',
    field: 'dhcp.router',
    set: (text, { dhcp }) => ({ dhcp: { ...dhcp, router: orNull(text) } }),
  },
  'dhcp-dns': {
    value: 'ADDRESS,… of DNS servers that machines are told of instead of the gateway; empty for the gateway',
    field: 'dhcp.dns',
    set: (text, { dhcp }) => ({ dhcp: { ...dhcp, dns: list(text) } }),
  },
  'boot-file': {
    value: 'NAME of what machines load that boot from the network',
    field: 'dhcp.bootFile',
    set: (text, { dhcp }) => ({ dhcp: { ...dhcp, bootFile: orNull(text) } }),
  },
  'boot-server': {
    value: 'ADDRESS of the TFTP server, or empty for the network’s own',
    field: 'dhcp.bootServer',
    set: (text, { dhcp }) => ({ dhcp: { ...dhcp, bootServer: orNull(text) } }),
  },
  tftp: { value: 'FOLDER, or empty for none', field: 'tftp', set: (text) => ({ tftp: text === '' ? null : resolve(text) }) },
  dns: { value: 'on | off', field: 'dns.enabled', set: (text, { dns }) => ({ dns: { ...dns, enabled: onOff(text) } }) },
  domain: {
    value: 'DOMAIN, as in lab.internal, or empty for NAME.internal',
    field: 'dns.domain',
    set: (text, { dns }) => ({ dns: { ...dns, domain: orNull(text) } }),
  },
  upstream: {
    value: 'ADDRESS,… of DNS servers, or empty for this computer’s',
    field: 'dns.upstream',
    set: (text, { dns }) => ({ dns: { ...dns, upstream: list(text) } }),
  },
  record: {
    value: `NAME=TYPE=VALUE (${DNS_TYPES.join(', ')}), or NAME= to remove all of that name`,
    field: 'dns.records',
    set: (text, { dns }) => {
      const [name = '', type, ...rest] = text.split('=')
      if (type === undefined) throw new InvalidArgumentError('Write it as in db=A=10.0.5.9.')
      const others = dns.records.filter((record) => record.name !== name)
      if (type === '' && others.length === dns.records.length) throw new InvalidArgumentError(`There is no record of “${name}”.`)
      if (type === '') return { dns: { ...dns, records: others } }
      const record = { name, type: oneOf('a type of records', DNS_TYPES)(type), value: rest.join('=') } as DnsRecord
      return { dns: { ...dns, records: [...dns.records, record] } }
    },
  },
  capture: {
    value: 'SIZE that each card keeps, as in 16M, or off',
    field: 'captureBytes',
    set: (text) => ({ captureBytes: text === 'off' ? 0 : sizeArgument(text) }),
  },
  watch: { value: 'on | off', field: 'watch.enabled', set: (text, { watch }) => ({ watch: { ...watch, enabled: onOff(text) } }) },
  'watch-off': {
    value: `what is not watched for: ${WATCHES.join(',')}`,
    field: 'watch.off',
    set: (text, { watch }) => ({ watch: { ...watch, off: watches(text) } }),
  },
  'watch-cut': {
    value: 'what cuts the link of who does it, as in port-scan,mac-flooding',
    field: 'watch.cut',
    set: (text, { watch }) => ({ watch: { ...watch, cut: watches(text) } }),
  },
  pattern: {
    value: 'NAME=BYTES to be told of (text, or hexadecimal after 0x), or NAME= to take it back',
    field: 'watch.patterns',
    set: (text, { watch }) => {
      const [name, bytes] = named(text, 'Write it as in secret=0xdeadbeef.')
      const others = watch.patterns.filter((one) => one.name !== name)
      if (bytes === '' && others.length === watch.patterns.length) throw new InvalidArgumentError(`There is no pattern “${name}”.`)
      return { watch: { ...watch, patterns: bytes === '' ? others : [...others, { name, bytes }] } }
    },
  },
  zone: {
    value: 'NAME=MACHINE,… that rules treat alike, or NAME= to remove it',
    field: 'policy.zones',
    set: (text, { policy }, machineOf) => {
      const [name, machines] = named(text, 'Write it as in guests=web-1,web-2.')
      const others = policy.zones.filter((one) => one.name !== name)
      if (machines === '' && others.length === policy.zones.length) throw new InvalidArgumentError(`There is no zone “${name}”.`)
      const zones = machines === '' ? others : [...others, { name, machines: [...new Set(list(machines).map(machineOf))] }]
      return { policy: { ...policy, zones } }
    },
  },
  rules: {
    value:
      'FROM:TO:ACTION[:PROTOCOL[:PORT]],… (the first that fits counts; zones, gateway, others, *; allow, deny, log), or empty for none',
    field: 'policy.rules',
    set: (text, { policy }) => ({ policy: { ...policy, rules: list(text).map(ruleOf) } }),
  },
  otherwise: {
    value: 'allow | deny (where no rule fits)',
    field: 'policy.otherwise',
    set: (text, { policy }) => ({ policy: { ...policy, otherwise: oneOf('allow or deny', ['allow', 'deny'])(text) } }),
  },
  interface: {
    value: 'NAME of this computer’s card, for bridged networks; empty: the one with its default route',
    field: 'hostInterface',
    set: (text) => ({ hostInterface: orNull(text) }),
  },
}

/** "name=what": both; what is empty for "name=". @throws InvalidArgumentError with the example for text without "=" */
function named(text: string, example: string): [string, string] {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError(example)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** "guests:gateway:deny:tcp:25" */
function ruleOf(text: string): PolicyRule {
  const [from = '', to = '', action = '', protocol = 'any', port, ...rest] = text.split(':')
  if (from === '' || to === '' || action === '' || rest.length > 0)
    throw new InvalidArgumentError(`“${text}” is not a rule. Write it as in guests:gateway:deny or guests:*:allow:tcp:443.`)
  const known = oneOf('a protocol', RULE_PROTOCOLS)(protocol)
  if (port !== undefined && known !== 'tcp' && known !== 'udp') throw new InvalidArgumentError(`“${text}”: only TCP and UDP have ports.`)
  return {
    ...{ from, to, protocol: known, action: oneOf('what a rule does', RULE_ACTIONS)(action) },
    port: port === undefined ? null : wholeNumber('a port', 1, 65_535)(port),
  }
}

export const NETWORK_KEY_OF_FIELD: ReadonlyMap<string, string> = new Map(
  Object.entries(NETWORK_KEYS).map(([key, { field }]) => [field, key]),
)

/**
 * What `key=value` texts ask for, all together.
 * @throws UsageError that names the key
 */
export function networkPatchOf(assignments: readonly string[], network: Network, machineOf: MachineOf): NetworkPatch {
  let patch: NetworkPatch = {}
  for (const assignment of assignments) {
    const at = assignment.indexOf('=')
    const name = at < 0 ? assignment : assignment.slice(0, at)
    const key = Object.hasOwn(NETWORK_KEYS, name) ? NETWORK_KEYS[name] : undefined
    if (!key) throw new UsageError(`There is no key “${name}”. What can be set: ${Object.keys(NETWORK_KEYS).join(', ')}.`)
    if (at < 0) throw new UsageError(`“${name}” has no value. Write ${name}=VALUE (${key.value}).`)
    try {
      patch = { ...patch, ...key.set(assignment.slice(at + 1), { ...network, ...(patch as Partial<Network>) }, machineOf) }
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw new UsageError(`${name}: ${error.message}`)
      throw error
    }
  }
  return patch
}
