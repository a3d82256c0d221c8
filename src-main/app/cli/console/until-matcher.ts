/**
 * Watches a console's output for a pattern. `^` and `$` stand for the beginning and end of a line; `$` also for the end of what has come so
 * far, which is how a prompt is waited for. A match must lie within the last WINDOW characters.
 */
import { TerminalText } from './terminal-text.ts'

/** Characters that are searched, at least. */
export const WINDOW = 32 * 1024

export class UntilMatcher {
  #pattern: RegExp | null
  #plain = new TerminalText()
  /** What is searched, after one character that only says whether a line begins there. */
  #text = '\n'

  /** @param pattern with the flags g and m; null: nothing matches, the text is kept */
  constructor(pattern: RegExp | null) {
    this.#pattern = pattern
  }

  /** Output from before: it is not searched, but a line may go on from it. */
  skip(bytes: Uint8Array): void {
    this.#text = (this.#text + this.#plain.push(bytes)).slice(-1)
  }

  /** The match that `bytes` complete, or null. */
  push(bytes: Uint8Array): string | null {
    const added = this.#plain.push(bytes)
    if (added === '') return null
    this.#text += added
    if (this.#text.length > 2 * WINDOW) this.#text = this.#text.slice(-WINDOW - 1)
    if (!this.#pattern) return null
    this.#pattern.lastIndex = 1
    return this.#pattern.exec(this.#text)?.[0] ?? null
  }

  /** The plain text that is kept: the last that came, WINDOW characters or more. */
  get text(): string {
    return this.#text.slice(1)
  }
}
