/** The host as the window sees it: every service of the catalogue, over whatever wire connected. */
import {
  disks,
  exchange,
  images,
  machines,
  metrics,
  networks,
  settings,
  snapshots,
  system,
  tasks,
  terminals,
} from '../../src-shared/api/index.ts'
import type { Client, Service } from '../../src-shared/rpc/service.ts'

/** Whatever gives typed views of services: an RpcClient, or a HostLink that outlives it. */
export interface ServiceSource {
  service<S extends Service>(service: S): Client<S>
}

export interface Host {
  disks: Client<typeof disks>
  exchange: Client<typeof exchange>
  images: Client<typeof images>
  machines: Client<typeof machines>
  metrics: Client<typeof metrics>
  networks: Client<typeof networks>
  settings: Client<typeof settings>
  snapshots: Client<typeof snapshots>
  system: Client<typeof system>
  tasks: Client<typeof tasks>
  terminals: Client<typeof terminals>
}

export function hostOf(client: ServiceSource): Host {
  return {
    disks: client.service(disks),
    exchange: client.service(exchange),
    images: client.service(images),
    machines: client.service(machines),
    metrics: client.service(metrics),
    networks: client.service(networks),
    settings: client.service(settings),
    snapshots: client.service(snapshots),
    system: client.service(system),
    tasks: client.service(tasks),
    terminals: client.service(terminals),
  }
}
