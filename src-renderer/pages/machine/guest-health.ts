/** What is said of a guest that does not get on. Pure. */
import type { MachineView } from '../../../src-shared/api/machines.ts'

/** Null for a guest that is well, or of which nothing is known. */
export function healthSentence({ health, healthDetail }: Pick<MachineView, 'health' | 'healthDetail'>): string | null {
  if (health === 'spinning') return healthDetail ?? 'The guest runs at full speed and gets nowhere: it has probably hung.'
  if (health === 'stuck') return healthDetail ?? 'The engine does not answer: what runs in this machine is probably lost.'
  return null
}
