/** One card that sends as very many: a switch forgets where the others are, and shows everybody everything. Machines in a machine have a few. */
import type { Detector } from '../seen.ts'
import { WithinWindow } from '../within-window.ts'

const WINDOW = 10_000
const CARDS = 32

export function macFlooding(): Detector {
  const cards = new WithinWindow(WINDOW, CARDS)
  return ({ now, port, mac, source }) =>
    source !== mac && cards.add(port, source, now)
      ? {
          about: '',
          message: `{name} sends from more than ${CARDS} made-up card addresses within ${WINDOW / 1000} s, as if to flood the switch.`,
        }
      : null
}
