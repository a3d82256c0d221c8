/** The way out of a network, wired: its gateway, and the services at the gateway's addresses. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { Network } from '../../src-shared/model/network.ts'
import type { PortCounters } from '../../src-shared/threads/network-thread.ts'
import type { Clock } from './clock.ts'
import { Gateway } from './gateway/gateway.ts'
import { ListeningService } from './gateway/listening-service.ts'
import { DhcpServer } from './services/dhcp/server.ts'
import type { Leases, PoolSettings } from './services/dhcp/leases.ts'
import { dhcpSettings, type DhcpSettings } from './services/dhcp/settings.ts'
import type { Switch } from './switch/switch.ts'

export interface GatewaySideOptions {
  document: Network
  lan: Switch
  clock: Clock
  /** The network's leases, which outlive its gateway. */
  leasesIn: (pool: PoolSettings) => Leases
  /** For the log. */
  warn: (message: string) => void
}

export class GatewaySide implements Disposable {
  #gateway: Gateway
  #dhcp: ListeningService<DhcpSettings, DhcpServer>

  constructor({ document, lan, clock, leasesIn, warn }: GatewaySideOptions) {
    this.#gateway = new Gateway({ network: document, board: lan, clock, warn })
    lan.pin(this.#gateway.mac, this.#gateway.port.id)
    this.#dhcp = new ListeningService(this.#gateway.udp, (settings) => new DhcpServer(settings, leasesIn(settings.pool)))
    this.#configure(document)
  }

  get counters(): PortCounters {
    return this.#gateway.port.counters
  }

  /** What may change while it is there: all but name, kind and subnets. */
  update(document: Network): void {
    this.#gateway.update(document)
    this.#configure(document)
  }

  /** Tells machines, one of which just came, that it is there. */
  announce(): void {
    this.#gateway.announce()
  }

  dispose(): void {
    this.#dhcp.dispose()
    this.#gateway.dispose()
  }

  #configure(document: Network): void {
    this.#dhcp.configure(dhcpSettings(document, []))
  }
}
