/**
 * Virtual networks, as networks.json of a library keeps them. A network is known by its name, which machines' network cards refer to, so that a bundle finds the network of
 * the same name in another library. What flows and what is leased now never stands here.
 */
import { z } from 'zod'
import {
  addressIn,
  formatIp,
  inSubnet,
  ipSchema,
  ipv4Schema,
  ipv4SubnetSchema,
  ipv6SubnetSchema,
  ordinalIn,
  parseIp,
  parseSubnet,
  type Subnet,
} from './ip.ts'
import { macSchema } from './mac.ts'
import { patchSchema } from './patch.ts'

export const NETWORKS_SCHEMA = 1
/** Where a machine's first network card is plugged in unless told otherwise. Always there. */
export const DEFAULT_NETWORK = 'default'
export const MAX_NETWORKS = 64
export const MAX_ROUTERS = 32
export const MAX_FORWARDS = 256
export const MAX_RESERVATIONS = 1024
export const MAX_RECORDS = 1024
export const MAX_RULES = 256
/** Cards whose links are cut or impaired by themselves. */
export const MAX_PORTS = 4000
/** Bytes of an IP packet. */
export const MTU = { min: 576, minIpv6: 1280, max: 65_520, default: 1500 } as const

/** What machines of a network reach. `bridged`: the network of this computer's own card, where the rights allow it. */
export const NETWORK_KINDS = ['nat', 'host-only', 'segment', 'bridged'] as const
export type NetworkKind = (typeof NETWORK_KINDS)[number]

export const networkNameSchema = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, 'A name has up to 32 small letters, digits and hyphens, as in lab-1.')

/** A list's limit, in words. */
const most = (count: number, what: string): [number, string] => [count, `At most ${count} ${what}.`]
/** A chance for each frame. */
const percentage = z.number().min(0, 'A percentage is from 0 to 100.').max(100, 'A percentage is from 0 to 100.').default(0)

const portNumber = z.number().int().min(1, 'A port is a number from 1 to 65535.').max(65_535, 'A port is a number from 1 to 65535.')
/** RFC 1035, 2.3.1, in small letters. */
export const hostNameSchema = z
  .string()
  .max(63)
  .regex(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
    'A host name has small letters, digits and hyphens, and begins and ends with a letter or digit.',
  )
export const domainSchema = z
  .string()
  .max(200)
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
    'A domain is names with full stops between, as in lab.internal.',
  )

/** What a link does to the frames that pass it, each way. Zeroes: nothing. Percentages are chances for each frame. */
export const impairmentSchema = z.strictObject({
  /** Bits per second; null: no limit. */
  rate: z
    .number()
    .int('A rate is a whole number of bit/s.')
    .min(1000, 'The slowest link has 1000 bit/s.')
    .max(1e12, 'The fastest link has 1 Tbit/s.')
    .nullable()
    .default(null),
  /** ms. */
  delay: z.number().min(0, 'A delay is not below zero.').max(60_000, 'A frame is delayed by a minute at most.').default(0),
  /** ms to and fro of the delay; frames keep their order. */
  jitter: z.number().min(0, 'A jitter is not below zero.').max(60_000, 'A frame is delayed by a minute at most.').default(0),
  loss: percentage,
  duplicate: percentage,
  /** Sent at once, ahead of those that wait. Needs a delay to be seen. */
  reorder: percentage,
  /** One bit of the frame is flipped. */
  corrupt: percentage,
  /** The same frames at the same times meet the same fate; null: another one each time. */
  seed: z.number().int().min(0).max(0xffff_ffff).nullable().default(null),
})
export type Impairment = z.output<typeof impairmentSchema>
export const NO_IMPAIRMENT: Impairment = impairmentSchema.parse({})

/** Whether it does anything; a seed alone does not. */
export function isImpaired(impairment: Impairment): boolean {
  return (Object.keys(NO_IMPAIRMENT) as (keyof Impairment)[]).some((key) => key !== 'seed' && impairment[key] !== NO_IMPAIRMENT[key])
}

export const forwardSchema = z.strictObject({
  id: z.uuid(),
  protocol: z.enum(['tcp', 'udp']),
  /** Where this computer listens. */
  hostAddress: ipSchema.default('127.0.0.1'),
  hostPort: portNumber,
  /** A machine's id, or an address in the network. */
  guest: z.union([z.uuid(), ipSchema]),
  guestPort: portNumber,
})
export type Forward = z.output<typeof forwardSchema>

export const reservationSchema = z.strictObject({ mac: macSchema, address: ipv4Schema, name: hostNameSchema.nullable().default(null) })
export type Reservation = z.output<typeof reservationSchema>

export const dhcpSchema = z.strictObject({
  enabled: z.boolean().default(true),
  /** First and last address that is leased; null: all that are free. */
  from: ipv4Schema.nullable().default(null),
  to: ipv4Schema.nullable().default(null),
  /** Seconds. */
  leaseTime: z
    .number()
    .int()
    .min(60, 'A lease lasts for a minute at least.')
    .max(31_536_000, 'A lease lasts for a year at most.')
    .default(86_400),
  reservations: z
    .array(reservationSchema)
    .max(...most(MAX_RESERVATIONS, 'addresses are reserved'))
    .default([]),
  /** Told to machines instead of the gateway. */
  router: ipv4Schema.nullable().default(null),
  dns: z
    .array(ipv4Schema)
    .max(...most(3, 'DNS servers'))
    .default([]),
  /** What a machine that boots from the network loads: of the network's own TFTP service unless `server` names another. */
  bootFile: z.string().max(127, 'The name of a boot file has 127 characters at most.').nullable().default(null),
  bootServer: ipv4Schema.nullable().default(null),
})

export const DNS_TYPES = ['A', 'AAAA', 'CNAME', 'TXT'] as const
export const dnsRecordSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('A'), name: domainSchema, value: ipv4Schema }),
  z.strictObject({
    type: z.literal('AAAA'),
    name: domainSchema,
    value: ipSchema.refine((text) => text.includes(':'), 'An AAAA record has an IPv6 address.'),
  }),
  z.strictObject({ type: z.literal('CNAME'), name: domainSchema, value: domainSchema }),
  z.strictObject({ type: z.literal('TXT'), name: domainSchema, value: z.string().max(255, 'A text has 255 characters at most.') }),
])
export type DnsRecord = z.output<typeof dnsRecordSchema>

export const dnsSchema = z.strictObject({
  enabled: z.boolean().default(true),
  /** In which machines have their names; null: `<network>.internal`. */
  domain: domainSchema.nullable().default(null),
  records: z
    .array(dnsRecordSchema)
    .max(...most(MAX_RECORDS, 'records'))
    .default([]),
  /** Servers that are asked for everything else; empty: those of this computer. */
  upstream: z
    .array(ipSchema)
    .max(...most(3, 'DNS servers'))
    .default([]),
})

export const RULE_PROTOCOLS = ['any', 'tcp', 'udp', 'icmp', 'arp'] as const
export const RULE_ACTIONS = ['allow', 'deny', 'log'] as const
/** Machines of a network that are treated alike. Those in none are of the zone `others`. */
export const zoneSchema = z.strictObject({ name: networkNameSchema, machines: z.array(z.uuid()).max(1000).default([]) })
/** The first rule that fits counts. `*`: every zone; `gateway`: the network’s services and what lies behind them. `log`: it passes, and is told of. */
export const ruleSchema = z.strictObject({
  from: z.union([networkNameSchema, z.literal('*')]),
  to: z.union([networkNameSchema, z.literal('*')]),
  protocol: z.enum(RULE_PROTOCOLS).default('any'),
  /** Destination of TCP and UDP; null: all. */
  port: portNumber.nullable().default(null),
  action: z.enum(RULE_ACTIONS),
})
export type PolicyRule = z.output<typeof ruleSchema>
export const policySchema = z.strictObject({
  zones: z
    .array(zoneSchema)
    .max(...most(32, 'zones'))
    .default([]),
  rules: z
    .array(ruleSchema)
    .max(...most(MAX_RULES, 'rules'))
    .default([]),
  /** Where no rule fits. */
  otherwise: z.enum(['allow', 'deny']).default('allow'),
})
export type Policy = z.output<typeof policySchema>

export const WATCHES = ['port-scan', 'arp-spoofing', 'mac-flooding', 'dhcp-starvation', 'dns-tunnel', 'pattern'] as const
export type Watch = (typeof WATCHES)[number]
/** What is watched for in the traffic, and whether the link of who does it is cut. */
export const watchSchema = z.strictObject({
  enabled: z.boolean().default(true),
  off: z.array(z.enum(WATCHES)).default([]),
  cut: z.array(z.enum(WATCHES)).default([]),
  /** Bytes to look for in payloads, as text or as hex after `0x`. */
  patterns: z
    .array(
      z.strictObject({
        name: z.string().min(1, 'A pattern has a name.').max(80, 'The name of a pattern has 80 characters at most.'),
        bytes: z.string().min(2, 'A pattern has two characters at least.').max(256, 'A pattern has 256 characters at most.'),
      }),
    )
    .max(...most(32, 'patterns'))
    .default([]),
})
export type WatchRules = z.output<typeof watchSchema>

/** What a machine’s plug has beside the network it is in. */
export const portSettingsSchema = z.strictObject({
  machine: z.uuid(),
  nic: z.string().regex(/^[a-z0-9-]{1,32}$/),
  impairment: impairmentSchema.default(NO_IMPAIRMENT),
  /** Cut by a person or a rule; the guest sees its cable pulled. */
  cut: z.boolean().default(false),
})
export type PortSettings = z.output<typeof portSettingsSchema>

const networkShape = {
  kind: z.enum(NETWORK_KINDS).default('nat'),
  /** Null: no IPv4, or none that the network itself knows of (segments). The gateway is its first address. */
  ipv4: ipv4SubnetSchema.nullable().default(null),
  ipv6: ipv6SubnetSchema.nullable().default(null),
  mtu: z.number().int().min(MTU.min).max(MTU.max).default(MTU.default),
  dhcp: dhcpSchema.prefault({}),
  dns: dnsSchema.prefault({}),
  /** The gateway answers NTP with this computer’s clock. */
  ntp: z.boolean().default(true),
  /** Files of this folder are served by TFTP (absolute); null: none. */
  tftp: z.string().max(4096).nullable().default(null),
  /** The gateway’s address reaches this computer’s loopback. */
  hostAccess: z.boolean().default(false),
  /** Link-local addresses, and the addresses at which clouds tell secrets to their machines, may be reached. */
  linkLocalAccess: z.boolean().default(false),
  forwards: z
    .array(forwardSchema)
    .max(...most(MAX_FORWARDS, 'forwards'))
    .default([]),
  impairment: impairmentSchema.default(NO_IMPAIRMENT),
  policy: policySchema.prefault({}),
  watch: watchSchema.prefault({}),
  /** Bytes of the newest frames that each port keeps; 0: none. */
  captureBytes: z
    .number()
    .int()
    .min(0)
    .max(256 * 1024 * 1024, 'A card keeps 256 MiB at most.')
    .default(4 * 1024 * 1024),
  /** Of bridged networks: the card of this computer. Null: the one with its default route. */
  hostInterface: z
    .string()
    .regex(/^[A-Za-z0-9._:-]{1,32}$/, 'This is no name of a network card of this computer.')
    .nullable()
    .default(null),
}

export const networkSchema = z.strictObject({ name: networkNameSchema, ...networkShape }).superRefine((network, context) => {
  const issue = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message })
  const subnet = network.ipv4 === null ? null : parseSubnet(network.ipv4)
  if (subnet && (subnet.prefix < 8 || subnet.prefix > 29)) issue(['ipv4'], 'The prefix of an IPv4 subnet is from 8 to 29.')
  const six = network.ipv6 === null ? null : parseSubnet(network.ipv6)
  if (six && six.prefix !== 64) issue(['ipv6'], 'The prefix of an IPv6 subnet is 64: machines make up their own last 64 bits.')
  if (six && network.mtu < MTU.minIpv6) issue(['mtu'], `IPv6 needs an MTU of ${MTU.minIpv6} at least.`)
  if ((network.kind === 'nat' || network.kind === 'host-only') && !subnet && !six) issue(['ipv4'], 'This kind of network needs a subnet.')
  const inside = (path: (string | number)[], text: string | null): void => {
    const address = text === null ? null : parseIp(text)
    if (address && subnet && !isHost(subnet, address)) issue(path, `${text} is no address for a machine in ${network.ipv4}.`)
    else if (address && !subnet) issue(path, 'The network has no IPv4 subnet.')
  }
  inside(['dhcp', 'from'], network.dhcp.from)
  inside(['dhcp', 'to'], network.dhcp.to)
  network.dhcp.reservations.forEach(({ address }, at) => inside(['dhcp', 'reservations', at, 'address'], address))
  unique(
    network.dhcp.reservations,
    ({ mac }) => mac,
    (at) => issue(['dhcp', 'reservations', at, 'mac'], 'Two reservations are for the same network card.'),
  )
  unique(
    network.dhcp.reservations,
    ({ address }) => address,
    (at) => issue(['dhcp', 'reservations', at, 'address'], 'Two reservations are for the same address.'),
  )
  unique(
    network.forwards,
    ({ protocol, hostAddress, hostPort }) => `${protocol} ${hostAddress} ${hostPort}`,
    (at) => issue(['forwards', at, 'hostPort'], 'Two forwards listen at the same address and port.'),
  )
  unique(
    network.policy.zones,
    ({ name }) => name,
    (at) => issue(['policy', 'zones', at, 'name'], 'Two zones have the same name.'),
  )
  unique(
    network.policy.zones.flatMap(({ machines }) => machines),
    (id) => id,
    () => issue(['policy', 'zones'], 'A machine is in two zones.'),
  )
  const zones = new Set(['*', 'gateway', 'others', ...network.policy.zones.map(({ name }) => name)])
  network.policy.rules.forEach(({ from, to }, at) => {
    for (const [side, zone] of [
      ['from', from],
      ['to', to],
    ] as const)
      if (!zones.has(zone)) issue(['policy', 'rules', at, side], `There is no zone “${zone}”.`)
  })
})
export type Network = z.output<typeof networkSchema>
/** Of one that is still to be made: subnets that are left out are chosen. */
export const newNetworkSchema = z.strictObject({
  name: networkNameSchema.refine((name) => name !== 'none', 'A network cannot be called “none”: that word means plugged into no network.'),
  ...networkShape,
  ipv4: ipv4SubnetSchema.nullable().optional(),
  ipv6: ipv6SubnetSchema.nullable().optional(),
})
export type NewNetwork = z.output<typeof newNetworkSchema>
export const networkPatchSchema = patchSchema(networkShape)
export type NetworkPatch = z.output<typeof networkPatchSchema>

/** Hands packets from one network to the other, between its addresses in them. Networks with a gateway know the way; in segments it is the machines’ router. */
export const routerSchema = z.strictObject({
  name: networkNameSchema,
  interfaces: z
    .array(
      z.strictObject({ network: networkNameSchema, ipv4: ipv4Schema.nullable().default(null), ipv6: ipSchema.nullable().default(null) }),
    )
    .max(...most(16, 'networks'))
    .default([]),
})
export type Router = z.output<typeof routerSchema>

/** Where a person put something on the map. */
const placeSchema = z.strictObject({ x: z.number(), y: z.number() })

export const networksSchema = z
  .strictObject({
    schema: z.literal(NETWORKS_SCHEMA),
    networks: z.array(networkSchema).max(MAX_NETWORKS),
    routers: z.array(routerSchema).max(MAX_ROUTERS).default([]),
    ports: z
      .array(portSettingsSchema)
      .max(...most(MAX_PORTS, 'network cards have links that are cut or impaired'))
      .default([]),
    /** By `network/<name>`, `router/<name>`, `machine/<id>`. */
    map: z.record(z.string(), placeSchema).default({}),
  })
  .superRefine(({ networks, routers, ports }, context) => {
    const issue = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message })
    unique(
      networks,
      ({ name }) => name,
      (at) => issue(['networks', at, 'name'], 'Two networks have the same name.'),
    )
    unique(
      routers,
      ({ name }) => name,
      (at) => issue(['routers', at, 'name'], 'Two routers have the same name.'),
    )
    unique(
      ports,
      ({ machine, nic }) => `${machine}/${nic}`,
      (at) => issue(['ports', at], 'A network card stands here twice.'),
    )
    routers.forEach(({ interfaces }, at) =>
      interfaces.forEach(({ network }, index) => {
        if (!networks.some(({ name }) => name === network))
          issue(['routers', at, 'interfaces', index, 'network'], `There is no network “${network}”.`)
      }),
    )
  })
export type Networks = z.output<typeof networksSchema>

/** The address of the gateway: the first of the subnet (RFC 4291, 2.6.1 keeps the zeroth for routers of IPv6). */
export function gatewayOf(subnet: string): string {
  return formatIp(addressIn(parseSubnet(subnet)!, 1))
}

/** Whether this computer has an address in the network itself: the way outside, or services, or both. */
export function hasGateway({ kind, ipv4, ipv6, dhcp, dns, ntp, tftp }: Network): boolean {
  if (kind === 'bridged' || (ipv4 === null && ipv6 === null)) return false
  return kind !== 'segment' || dhcp.enabled || dns.enabled || ntp || tftp !== null
}

/** All of a network's. */
export function subnetsOf({ ipv4, ipv6 }: Pick<Network, 'ipv4' | 'ipv6'>): Subnet[] {
  return [ipv4, ipv6].flatMap((text) => (text === null ? [] : (parseSubnet(text) ?? [])))
}

export function domainOf({ name, dns }: Pick<Network, 'name' | 'dns'>): string {
  return dns.domain ?? `${name}.internal`
}

function isHost(subnet: { address: Uint8Array; prefix: number }, address: Uint8Array): boolean {
  if (!inSubnet(address, subnet)) return false
  const ordinal = ordinalIn(subnet, address)
  return ordinal > 0 && ordinal < 2 ** (32 - subnet.prefix) - 1
}

function unique<T>(items: readonly T[], key: (item: T) => string, onDouble: (at: number) => void): void {
  const seen = new Set<string>()
  items.forEach((item, at) => {
    if (seen.has(key(item))) onDouble(at)
    seen.add(key(item))
  })
}
