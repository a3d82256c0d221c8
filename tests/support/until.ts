import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves when it is so; the test's own time limit is the limit. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(2)
}
