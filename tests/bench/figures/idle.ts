/** What an idle Coppice Linux costs: the share of one core that its engine's thread uses while the guest waits at its prompt. */
import { setTimeout as sleep } from 'node:timers/promises'
import { guestFiles } from '../../guest/support/appliance.ts'
import { Guest } from '../../guest/support/guest.ts'
import type { Figure } from '../figure.ts'

const RUNS = 3
const SECONDS = 30
/** After the prompt the kernel still cleans up. */
const SETTLE_MS = 3000

export async function idleFigure(): Promise<Figure> {
  const guest = await Guest.boot(await guestFiles())
  try {
    await sleep(SETTLE_MS)
    const values: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const before = guest.counters.read().cpuMicros
      await sleep(SECONDS * 1000)
      values.push((guest.counters.read().cpuMicros - before) / (SECONDS * 1e6) / 0.01)
    }
    return { name: 'idle guest', unit: '% of a core', values, target: '≤ 10 % of a core' }
  } finally {
    await guest.close()
  }
}
