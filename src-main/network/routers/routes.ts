/** Which way packets go between networks. */
import { inSubnet, type IpAddress, type Subnet } from '../../../src-shared/model/ip.ts'

export interface Destination {
  subnet: Subnet
}

/** Packets to a subnet go to a neighbour. */
export interface Route extends Destination {
  /** The network of that neighbour. */
  network: string
  /** The neighbour. */
  address: IpAddress
  mac: number
}

/** The one with the longest prefix; null: there is none. */
export function routeTo<Way extends Destination>(ways: readonly Way[], address: IpAddress): Way | null {
  let best: Way | null = null
  for (const way of ways) if ((!best || way.subnet.prefix > best.subnet.prefix) && inSubnet(address, way.subnet)) best = way
  return best
}
