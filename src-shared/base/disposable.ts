/**
 * Ownership. Everything that is opened (listener, thread, socket, file, timer) is a Disposable and has one owner that
 * disposes it. Tests turn on the leak tracker and fail when something was opened and never disposed.
 */
export interface Disposable {
  dispose(): void
}

/** Receives every disposable's birth and death while tracking is on. */
export interface LeakTracker {
  opened(disposable: Disposable): void
  closed(disposable: Disposable): void
}

let tracker: LeakTracker | null = null

/** Turns the leak check on (a tracker) or off (null). For tests only. */
export function setLeakTracker(next: LeakTracker | null): void {
  tracker = next
}

/** A Disposable from a function; the function runs at most once. */
export function toDisposable(run: () => void): Disposable {
  let done = false
  const self: Disposable = {
    dispose() {
      if (done) return
      done = true
      tracker?.closed(self)
      run()
    },
  }
  tracker?.opened(self)
  return self
}

/** Owns many disposables and disposes them in reverse order of their adding. Adding to a disposed store disposes at once. */
export class DisposableStore implements Disposable {
  #items: Disposable[] = []
  #disposed = false

  constructor() {
    tracker?.opened(this)
  }

  get disposed(): boolean {
    return this.#disposed
  }

  add<T extends Disposable>(item: T): T {
    if (this.#disposed) item.dispose()
    else this.#items.push(item)
    return item
  }

  /** Runs `run` when the store is disposed. */
  defer(run: () => void): void {
    this.add(toDisposable(run))
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    tracker?.closed(this)
    for (const item of this.#items.splice(0).reverse()) item.dispose()
  }
}
