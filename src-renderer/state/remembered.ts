/** Small facts about this window that outlive it (a pane's width, the last folder): localStorage, which may be missing or full. */
export interface Remembered<T> {
  read(): T
  write(value: T): void
}

/** @param accept guards against what an older or newer Coppice left there */
export function remembered<T>(key: string, fallback: T, accept: (value: unknown) => boolean): Remembered<T> {
  const name = `coppice.${key}`
  return {
    read() {
      try {
        const text = localStorage.getItem(name)
        const value: unknown = text === null ? fallback : JSON.parse(text)
        return accept(value) ? (value as T) : fallback
      } catch {
        return fallback
      }
    },
    write(value) {
      try {
        localStorage.setItem(name, JSON.stringify(value))
      } catch {
        // Private windows and full stores forget; nothing depends on it.
      }
    },
  }
}

export function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
