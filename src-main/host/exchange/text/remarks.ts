/** What has no counterpart here, as sentences for people: "Sound card (ES1371): left out." */

/** Sentences; what comes after them is counted. */
export const MAX_REMARKS = 100
const MAX_SHOWN = 80

export class Remarks {
  #sentences = new Set<string>()
  #more = 0

  add(sentence: string): void {
    if (this.#sentences.has(sentence)) return
    if (this.#sentences.size < MAX_REMARKS) this.#sentences.add(sentence)
    else this.#more++
  }

  leftOut(part: string): void {
    this.add(`${part}: left out.`)
  }

  list(): string[] {
    return this.#more === 0 ? [...this.#sentences] : [...this.#sentences, `And ${this.#more} more that are left out.`]
  }
}

/** Text of a hostile file as it can stand in a sentence: one line, no control characters, cut. */
export function shown(text: string): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
    .toWellFormed()
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN - 1).toWellFormed()}…` : line
}
