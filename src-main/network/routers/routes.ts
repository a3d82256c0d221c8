/** Which way packets go between networks. */
import { inSubnet, type IpAddress, type Subnet } from '../../../src-shared/model/ip.ts'

/** Packets to a subnet go to a neighbour. */
export interface Route {
  subnet: Subnet
  /** The network of that neighbour. */
  network: string
  /** The neighbour. */
  address: IpAddress
  mac: number
}

/** The route with the longest prefix; null: there is none. */
export function viaOf(routes: readonly Route[], destination: IpAddress): Route | null {
  let best: Route | null = null
  for (const route of routes) if ((!best || route.subnet.prefix > best.subnet.prefix) && inSubnet(destination, route.subnet)) best = route
  return best
}
