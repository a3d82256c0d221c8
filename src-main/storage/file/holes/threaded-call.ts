/**
 * Calls of the system that may wait for a disk, off this thread: koffi runs them on libuv's threads, as Node does with its own. A call costs 6 µs so,
 * instead of 0.25 µs, and a server that hangs or a punch that takes seconds holds up nobody else.
 */

/** A function of koffi: the last argument of `async` is called with an error of koffi's own, or what the function returned. */
interface NativeCall {
  async(...args: unknown[]): unknown
}

/** At once, of one thread; koffi refuses more than 256, and libuv has four threads. */
const AT_ONCE = 64

export interface Outcome {
  value: number
  /** What the call left in errno, or GetLastError; says something when `value` does. */
  error: number
}

/** Arguments of calls under way: koffi gives the system their buffers' addresses, so these must not be collected. */
const underWay = new Set<readonly unknown[]>()
const waiting: (() => void)[] = []

/** @param lastError reads the error of the call that has just ended */
export function threaded(call: NativeCall, lastError: () => number): (...args: unknown[]) => Promise<Outcome> {
  return async (...args) => {
    while (underWay.size >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
    underWay.add(args)
    try {
      return await new Promise<Outcome>((resolve, reject) => {
        call.async(...args, (failure: Error | null, value: number | bigint) => {
          if (failure) reject(failure)
          else resolve({ value: Number(value), error: lastError() })
        })
      })
    } finally {
      underWay.delete(args)
      waiting.shift()?.()
    }
  }
}
