/** A hash of who talks to whom. Not to be foretold (`seed`): who could, would make all flows meet in one place. */
import type { IpAddress } from '../../../../src-shared/model/ip.ts'

/** A signed 32-bit integer. */
export function flowKey(seed: number, guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number): number {
  return mixAddress(mixAddress(Math.imul(seed ^ ((guestPort << 16) | remotePort), 0x9e3779b1), guest), remote)
}

function mixAddress(key: number, address: IpAddress): number {
  let mixed = key
  for (let at = 0; at < address.length; at += 4) {
    const word = (address[at]! << 24) | (address[at + 1]! << 16) | (address[at + 2]! << 8) | address[at + 3]!
    mixed = Math.imul(mixed ^ word, 0x85ebca6b)
    mixed ^= mixed >>> 15
  }
  return mixed
}
