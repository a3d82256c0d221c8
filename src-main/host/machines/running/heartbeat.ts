/**
 * Finds engine threads that do not answer, without asking them: a running machine's heartbeat counter stands in shared memory and must grow.
 * Looks only while machines run.
 */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'

/** ms between looks. */
export const LOOK_INTERVAL = 2000
/** ms without a heartbeat after which a thread counts as stuck. */
export const STUCK_AFTER = 10_000

/** What was seen of one machine. */
export interface Pulse {
  heartbeats: number
  /** Times in ms on a monotonic clock: of the last look, and of the last one at which the counter had grown. */
  lookedAt: number
  beatAt: number
}

/**
 * The next pulse from the last one. Pure. A computer that slept makes every thread look stuck: a look that comes much too late starts
 * the count anew.
 */
export function nextPulse(last: Pulse | undefined, heartbeats: number, now: number): Pulse {
  const slept = last !== undefined && now - last.lookedAt > 2 * LOOK_INTERVAL
  const beat = last === undefined || slept || heartbeats !== last.heartbeats
  return { heartbeats, lookedAt: now, beatAt: beat ? now : last.beatAt }
}

export function isStuck(pulse: Pulse): boolean {
  return pulse.lookedAt - pulse.beatAt >= STUCK_AFTER
}

export interface Watched {
  id: string
  heartbeats: number
}

export class HeartbeatMonitor implements Disposable {
  #running: () => Iterable<Watched>
  #tell: (id: string, stuckForMs: number | null) => void
  #pulses = new Map<string, Pulse>()
  #timer: NodeJS.Timeout | null = null

  /** @param tell called at each look: ms without a heartbeat of a stuck machine, null for one that beats */
  constructor(running: () => Iterable<Watched>, tell: (id: string, stuckForMs: number | null) => void) {
    this.#running = running
    this.#tell = tell
  }

  /** Whether it is looking now. */
  get on(): boolean {
    return this.#timer !== null
  }

  /** To be called when a machine begins or ends to run. */
  update(): void {
    const any = !this.#running()[Symbol.iterator]().next().done
    if (any && !this.#timer) {
      this.#timer = setInterval(() => this.#look(), LOOK_INTERVAL)
      this.#timer.unref()
    } else if (!any) this.dispose()
  }

  dispose(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    this.#pulses.clear()
  }

  #look(): void {
    const now = performance.now()
    const pulses = new Map<string, Pulse>()
    for (const { id, heartbeats } of this.#running()) {
      const pulse = nextPulse(this.#pulses.get(id), heartbeats, now)
      pulses.set(id, pulse)
      this.#tell(id, isStuck(pulse) ? now - pulse.beatAt : null)
    }
    this.#pulses = pulses
  }
}
