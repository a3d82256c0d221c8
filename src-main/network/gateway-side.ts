/** The way out of a network, wired: its gateway, the services at the gateway's addresses, and NAT behind it. */
import { DisposableStore, type Disposable } from '../../src-shared/base/disposable.ts'
import { domainOf, subnetsOf, type Network } from '../../src-shared/model/network.ts'
import { sameIp, type IpAddress } from '../../src-shared/model/ip.ts'
import type { NetworkState } from '../../src-shared/threads/network-thread.ts'
import { cardShare } from './card-share.ts'
import type { Clock } from './clock.ts'
import { isLinkLocal } from './gateway/addresses.ts'
import { Gateway } from './gateway/gateway.ts'
import { ListeningService } from './gateway/listening-service.ts'
import type { OwnPort } from './own-ports.ts'
import type { NatOptions, ResolvedForward } from './nat/nat.ts'
import { UserNat } from './nat/user-nat.ts'
import type { NetworkRoutes } from './routers/plan-routes.ts'
import { Dhcp6Server, type Dhcp6Settings } from './services/dhcp6/server.ts'
import type { Leases, PoolSettings } from './services/dhcp/leases.ts'
import { DhcpServer } from './services/dhcp/server.ts'
import { dhcpSettings, type DhcpSettings } from './services/dhcp/settings.ts'
import type { KnownHost } from './services/dns/known-hosts.ts'
import { DnsServer, dnsSettings, type DnsSettings } from './services/dns/server.ts'
import { serveDnsStream } from './services/dns/stream.ts'
import { NtpServer } from './services/ntp/server.ts'
import { TftpServer } from './services/tftp/server.ts'
import type { Switch } from './switch/switch.ts'

const DNS_PORT = 53

export interface GatewaySideOptions {
  lan: Switch
  clock: Clock
  /** The network's leases, which outlive its gateway. */
  leasesIn: (pool: PoolSettings) => Leases
  /** Machines that have names here, as they are now. */
  hosts: () => readonly KnownHost[]
  /** A machine was heard of under an address that was not known. */
  onNeighbour: () => void
  /** The card that has an address by right; null: nobody is known to. */
  ownerOf: (address: IpAddress) => number | null
  /** A forward listens, or does not. */
  onForwards: () => void
  /** For the log. */
  warn: (message: string) => void
}

export class GatewaySide implements Disposable {
  #name: string
  #gateway: Gateway
  #nat: UserNat
  #dhcp: ListeningService<DhcpSettings, DhcpServer>
  #dhcp6: ListeningService<Dhcp6Settings, Dhcp6Server>
  #dns: ListeningService<DnsSettings, DnsServer>
  #ntp: ListeningService<'on', NtpServer>
  #tftp: TftpServer | null = null
  #clock: Clock
  #store = new DisposableStore()

  constructor(
    document: Network,
    routes: NetworkRoutes,
    { lan, clock, leasesIn, hosts, onNeighbour, ownerOf, onForwards, warn }: GatewaySideOptions,
  ) {
    this.#name = document.name
    this.#clock = clock
    const shareOf = cardShare(lan)
    const gateway = this.#store.add(new Gateway({ network: document, board: lan, clock, ownerOf, warn }))
    this.#gateway = gateway
    gateway.onNeighbour = onNeighbour
    this.#nat = this.#store.add(new UserNat(gateway.output, clock, this.#natOptions(document), shareOf))
    gateway.outside = this.#nat
    this.#store.add(this.#nat.onForwards(onForwards))
    const { udp } = gateway
    this.#dhcp = this.#store.add(
      new ListeningService(
        udp,
        (settings) => new DhcpServer(settings, leasesIn(settings.pool), clock, (address, mac) => gateway.isUsed(address, mac)),
      ),
    )
    this.#dhcp6 = this.#store.add(new ListeningService(udp, (settings) => new Dhcp6Server(settings)))
    this.#dns = this.#store.add(new ListeningService(udp, (settings) => new DnsServer(settings, hosts, clock, shareOf)))
    this.#ntp = this.#store.add(new ListeningService(udp, () => new NtpServer(clock)))
    this.#nat.listenTcp(DNS_PORT, (stream) => {
      const { service } = this.#dns
      if (service) serveDnsStream(service, clock, stream)
      else stream.reset()
    })
    this.#configure(document, routes)
  }

  get state(): Pick<NetworkState, 'gateway' | 'flows' | 'forwards'> {
    const { flows, forwards } = this.#nat
    return { gateway: this.#gateway.port.counters, flows, forwards }
  }

  get ownPort(): OwnPort {
    return { id: this.#gateway.port.id, name: `gateway of ${this.#name}`, mac: this.#gateway.mac }
  }

  /** That a card was seen to have, of both families; those of the link alone are left out. */
  addressesOf(mac: number): IpAddress[] {
    return this.#gateway.addressesOf(mac).filter((address) => !isLinkLocal(address))
  }

  /** What may change while it is there: all but name, kind and subnets. */
  update(document: Network, routes: NetworkRoutes): void {
    this.#gateway.update(document)
    this.#nat.update(this.#natOptions(document))
    this.#configure(document, routes)
  }

  /** What did not change goes on undisturbed. */
  setForwards(forwards: readonly ResolvedForward[]): void {
    this.#nat.setForwards(forwards)
  }

  /** Machines, their names or their addresses changed. */
  hostsChanged(): void {
    this.#dns.service?.hostsChanged()
  }

  /** Tells machines, one of which just came, that it is there. */
  announce(): void {
    this.#gateway.announce()
  }

  closeFlows(address: IpAddress): void {
    this.#nat.closeFlows(address)
  }

  /** Its card, where the address is its own. */
  cardOf(address: IpAddress): number | null {
    const { ipv4, ipv6, linkLocal } = this.#gateway.addresses
    return [ipv4, ipv6, linkLocal].some((own) => own !== null && sameIp(own, address)) ? this.#gateway.mac : null
  }

  dispose(): void {
    this.#tftp?.dispose()
    this.#store.dispose()
  }

  #configure(document: Network, routes: NetworkRoutes): void {
    const { ipv6 } = this.#gateway.addresses
    const { dns, ntp } = document
    this.#gateway.setRoutes(routes)
    this.#dhcp.configure(dhcpSettings(document, routes.routers))
    this.#dns.configure(dnsSettings(document))
    this.#ntp.configure(ntp ? 'on' : null)
    this.#dhcp6.configure(
      ipv6 && { mac: this.#gateway.mac, dns: dns.enabled ? [ipv6] : [], ntp: ntp ? [ipv6] : [], domain: domainOf(document) },
    )
    this.#serveFiles(document.tftp)
  }

  #serveFiles(folder: string | null): void {
    if (folder === null) {
      this.#tftp?.dispose()
      this.#tftp = null
    } else if (this.#tftp) this.#tftp.setFolder(folder)
    else this.#tftp = new TftpServer(folder, this.#gateway.udp, this.#clock)
  }

  #natOptions({ kind, ipv4, ipv6, hostAccess, linkLocalAccess }: Network): NatOptions {
    const subnets = subnetsOf({ ipv4, ipv6 })
    const { addresses } = this.#gateway
    return {
      // A segment has services, and no way out.
      kind: kind === 'nat' ? 'nat' : 'host-only',
      gateway: { ipv4: addresses.ipv4, ipv6: addresses.ipv6 },
      subnets,
      hostAccess: hostAccess && kind !== 'segment',
      linkLocalAccess,
    }
  }
}
