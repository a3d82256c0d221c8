import type { Client } from '../../../src-shared/rpc/service.ts'
import type { engineThread } from '../../../src-shared/threads/engine-thread.ts'
import { DESKTOP_SIZE, QEMU_EXTENDED_KEY, RAW, RfbClient } from '../../support/rfb-client.ts'

/** A machine whose screen is looked at. */
export interface Viewed {
  engine: Client<typeof engineThread>
  machine: string
}

/**
 * A viewer that has painted the whole screen once.
 * @param encodings without Tight by default: the test's viewer reads only our own server's, whose rectangles stand by themselves
 */
export async function view({ engine, machine }: Viewed, encodings = [RAW, DESKTOP_SIZE, QEMU_EXTENDED_KEY]): Promise<RfbClient> {
  const { stream } = await engine.display({ machine })
  const viewer = await RfbClient.open(stream, { encodings })
  await viewer.update(false)
  return viewer
}
