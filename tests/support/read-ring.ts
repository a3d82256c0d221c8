import type { RingClient } from '../../src-main/engines/ring-client.ts'

/** A copy of what a ring of blocks reads. */
export async function readRing(ring: Pick<RingClient, 'read'>, offset: number, length: number): Promise<Uint8Array> {
  const lease = await ring.read(offset, length)
  const bytes = lease.bytes.slice()
  lease.release()
  return bytes
}
