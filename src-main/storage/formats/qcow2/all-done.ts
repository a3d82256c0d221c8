/** Waits until all of them have ended, whatever becomes of the others. Throws what the first of them that failed threw. */
export async function allDone(work: readonly Promise<unknown>[]): Promise<void> {
  if (work.length === 1) await work[0]
  else for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason
}

/** For work that `allDone` waits for later: should it fail before, that is not yet an error that nobody handles. */
export function underWay<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {})
  return work
}
