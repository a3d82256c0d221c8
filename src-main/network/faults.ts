/** Mistakes of ours that a frame brings to light: told of, some a minute at most, while the thread goes on for everybody else. */
import type { FromCard } from './link/link.ts'

const MAX_TOLD = 10
const MINUTE = 60_000

let told = { since: -Infinity, count: 0 }

export function reportFault(error: unknown): void {
  const now = performance.now()
  if (now - told.since >= MINUTE) told = { since: now, count: 0 }
  if (told.count++ < MAX_TOLD) console.error(`Networks, a mistake in the program: ${error instanceof Error ? error.stack : String(error)}`)
}

/** Whoever reads frames goes on with the next one. */
export function guarded(receive: FromCard): FromCard {
  return (frame) => {
    try {
      receive(frame)
    } catch (error) {
      reportFault(error)
    }
  }
}
