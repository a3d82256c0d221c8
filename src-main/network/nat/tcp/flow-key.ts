/** A hash of who talks to whom. With a random `seed` no guest can choose flows that all have the same one. */
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import { mixAddress } from '../../address-key.ts'

/** A signed 32-bit integer. */
export function flowKey(seed: number, guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number): number {
  return mixAddress(
    mixAddress(Math.imul(seed ^ ((guestPort << 16) | remotePort), 0x9e3779b1), guest, 0, guest.length),
    remote,
    0,
    remote.length,
  )
}
