/**
 * What a run of the tests started and did not end. Every process of a run carries the run's mark in its environment, hosts and browsers that went into
 * the background too. Only Linux shows a process's environment: elsewhere nothing is found.
 */
import { readdirSync, readFileSync } from 'node:fs'

export const MARK = 'COPPICE_TEST_RUN'
/** Hosts that were told to end, and browsers that were closed, may take so long. */
const PATIENCE_MS = 15_000
const LOOK_EVERY_MS = 200

/** @returns {{ pid: number, command: string }[]} */
export function processesOf(mark) {
  let names
  try {
    names = readdirSync('/proc')
  } catch {
    return []
  }
  return names
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const marked = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(`${MARK}=${mark}`)
        return marked ? [{ pid: Number(name), command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() }] : []
      } catch {
        return [] // ended meanwhile, or another user's
      }
    })
}

/**
 * Waits for what ends by itself and ends the rest.
 * @returns {Promise<{ pid: number, command: string }[]>} the ones that had to be ended
 */
export async function endLeftovers(mark, patienceMs = PATIENCE_MS) {
  const deadline = Date.now() + patienceMs
  let left = processesOf(mark)
  while (left.length > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    left = processesOf(mark)
  }
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // ended meanwhile
    }
  }
  return left
}
