/** A frame taken apart, for lists and filters: as far as it is understood. Total: any bytes give something. */
import { Dissection, type Dissected } from './dissection.ts'
import { dissectEthernet } from './ethernet.ts'

export function dissect(frame: Uint8Array): Dissected {
  const found = new Dissection(frame)
  dissectEthernet(found)
  return found
}
