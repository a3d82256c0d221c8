import { toDisposable, type Disposable } from './disposable.ts'

/** A source of values: call it with a listener, dispose the result to stop listening. */
export type Event<T> = (listener: (value: T) => void) => Disposable

/** The owner's end of an Event. Listeners are called in order of subscription; one that throws does not stop the others. */
export class Emitter<T> implements Disposable {
  #listeners = new Map<(value: T) => void, Disposable>()
  #disposed = false

  readonly event: Event<T> = (listener) => {
    if (this.#disposed) return { dispose() {} }
    // A fresh function per subscription, so that one listener may subscribe twice.
    const entry = (value: T): void => listener(value)
    const subscription = toDisposable(() => this.#listeners.delete(entry))
    this.#listeners.set(entry, subscription)
    return subscription
  }

  get listenerCount(): number {
    return this.#listeners.size
  }

  fire(value: T): void {
    for (const listener of [...this.#listeners.keys()]) {
      // One that an earlier listener of this value disposed hears nothing more.
      if (!this.#listeners.has(listener)) continue
      try {
        listener(value)
      } catch (error) {
        reportListenerError(error)
      }
    }
  }

  /** Ends every subscription: their owners may, but need not, dispose them. */
  dispose(): void {
    this.#disposed = true
    for (const subscription of [...this.#listeners.values()]) subscription.dispose()
  }
}

/** Resolves with the first value that passes; rejects when the signal aborts. */
export function nextValue<T>(event: Event<T>, accept: (value: T) => boolean, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      subscription.dispose()
      signal?.removeEventListener('abort', onAbort)
    }
    const onAbort = (): void => {
      stop()
      reject(signal?.reason as Error)
    }
    const subscription = event((value) => {
      if (!accept(value)) return
      stop()
      resolve(value)
    })
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort, { once: true })
  })
}

let onListenerError: (error: unknown) => void = (error) => {
  // Rethrown outside the loop: the fault is seen, the other listeners still run.
  queueMicrotask(() => {
    throw error
  })
}

function reportListenerError(error: unknown): void {
  onListenerError(error)
}

/** Where a listener's exception goes (the log, in a host); the default is an unhandled exception. */
export function setListenerErrorHandler(handler: (error: unknown) => void): void {
  onListenerError = handler
}
