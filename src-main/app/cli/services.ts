/** The host as the command line sees it. */
import { disks, exchange, images, machines, metrics, networks, snapshots, system, tasks } from '../../../src-shared/api/index.ts'
import { app } from '../../../src-shared/api/app.ts'
import type { RpcClient } from '../../../src-shared/rpc/client.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'

export interface Services {
  app: Client<typeof app>
  exchange: Client<typeof exchange>
  disks: Client<typeof disks>
  images: Client<typeof images>
  machines: Client<typeof machines>
  metrics: Client<typeof metrics>
  networks: Client<typeof networks>
  snapshots: Client<typeof snapshots>
  system: Client<typeof system>
  tasks: Client<typeof tasks>
}

export function servicesOf(client: RpcClient): Services {
  return {
    app: client.service(app),
    exchange: client.service(exchange),
    disks: client.service(disks),
    images: client.service(images),
    machines: client.service(machines),
    metrics: client.service(metrics),
    networks: client.service(networks),
    snapshots: client.service(snapshots),
    system: client.service(system),
    tasks: client.service(tasks),
  }
}
