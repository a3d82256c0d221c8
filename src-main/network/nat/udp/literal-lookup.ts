/** What takes an address for what it is. Node asks the system's resolver even for those, some turns later. */
import type { LookupAddress } from 'node:dns'
import { isIPv6 } from 'node:net'

/** In the shape of dns.lookup, as sockets take it. Synchronous. */
export function literalLookup(
  address: string,
  _options: unknown,
  done: (error: null, address: string | LookupAddress[], family?: number) => void,
): void {
  done(null, address, isIPv6(address) ? 6 : 4)
}
