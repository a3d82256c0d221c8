/** How far a job is, told seldom enough to cost nothing. */

/** ms between two reports. */
const INTERVAL = 100

export interface JobOptions {
  signal: AbortSignal
  /** Bytes: at most ten times a second, and once at the end. */
  onProgress(done: number, total: number): void
}

/** @returns to be called with how far the job is; throws when it is to end */
export function progressOf(total: number, { signal, onProgress }: JobOptions): (done: number) => void {
  let toldAt = -Infinity
  return (done) => {
    if (performance.now() - toldAt >= INTERVAL || done === total) {
      toldAt = performance.now()
      onProgress(Math.min(done, total), total)
    }
    signal.throwIfAborted()
  }
}
