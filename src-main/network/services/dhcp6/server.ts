/**
 * Stateless DHCPv6 (RFC 8415, 6.1 and 18.3.6): machines make up their own addresses from router advertisements, and ask here for the rest: DNS servers, domain, time.
 */
import { concatBytes } from '../../../../src-shared/base/bytes.ts'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import { writeMac } from '../../codec/ethernet.ts'
import type { UdpReply, UdpRequest, UdpService } from '../../gateway/udp-service.ts'
import { encodeName } from '../dns/name.ts'
import { buildDhcp6, DHCP6, OPTION6, parseDhcp6 } from './codec.ts'

/** RFC 8415, 7.2. */
const SERVER_PORT = 547
/** Seconds after which machines ask again (21.23): what is told here changes by hand. */
const REFRESH = 86_400

export interface Dhcp6Settings {
  /** The gateway's card: the server is known by it (DUID-LL, 11.4). */
  mac: number
  /** Addresses of 16 bytes. */
  dns: readonly IpAddress[]
  ntp: readonly IpAddress[]
  domain: string
}

export class Dhcp6Server implements UdpService {
  readonly port = SERVER_PORT
  #settings: Dhcp6Settings

  constructor(settings: Dhcp6Settings) {
    this.#settings = settings
  }

  configure(settings: Dhcp6Settings): void {
    this.#settings = settings
  }

  receive({ payload }: UdpRequest, reply: UdpReply): void {
    const message = parseDhcp6(payload)
    if (message?.type !== DHCP6.informationRequest) return
    const valueOf = (code: number): Uint8Array | undefined => message.options.find(([one]) => one === code)?.[1]
    const server = this.#duid()
    // 16.12: another server's, or one that asks for addresses too.
    const asked = valueOf(OPTION6.serverId)
    if (asked && (asked.length !== server.length || asked.some((byte, at) => byte !== server[at]))) return
    if ([OPTION6.nonTemporary, OPTION6.temporary, OPTION6.prefix].some((code) => valueOf(code))) return
    const options: [number, Uint8Array][] = [[OPTION6.serverId, server]]
    const client = valueOf(OPTION6.clientId)
    if (client) options.push([OPTION6.clientId, client])
    options.push(...this.#parameters(valueOf(OPTION6.wanted)))
    reply(buildDhcp6({ type: DHCP6.reply, transaction: message.transaction, options }))
  }

  /** What the client asked for (21.7), or all where it did not say. */
  #parameters(wanted: Uint8Array | undefined): [number, Uint8Array][] {
    const { dns, ntp, domain } = this.#settings
    const all: [number, Uint8Array][] = [
      [OPTION6.dns, concatBytes(dns)],
      [OPTION6.domains, encodeName(domain)!],
      [OPTION6.sntp, concatBytes(ntp)],
      // RFC 5908, 4.1: a suboption for each server.
      [OPTION6.ntp, concatBytes(ntp.map((address) => concatBytes([Uint8Array.of(0, 1, 0, 16), address])))],
      [OPTION6.refresh, Uint8Array.of(REFRESH >>> 24, REFRESH >>> 16, REFRESH >>> 8, REFRESH)],
    ]
    const codes = new Set<number>()
    for (let at = 0; wanted && at + 1 < wanted.length; at += 2) codes.add((wanted[at]! << 8) | wanted[at + 1]!)
    return all.filter(([code, value]) => value.length > 0 && (!wanted || codes.has(code)))
  }

  #duid(): Uint8Array<ArrayBuffer> {
    const duid = Uint8Array.of(0, 3, 0, 1, 0, 0, 0, 0, 0, 0)
    writeMac(duid, 4, this.#settings.mac)
    return duid
  }
}
