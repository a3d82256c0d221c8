/** Sentences that are kept; more are only counted. */
const MOST_SENTENCES = 100

/** What is wrong with an image. */
export class Findings {
  /** Clusters counted too seldom, wrong flags, impossible entries. */
  corruptions = 0
  /** Clusters that nothing refers to, or not as often as they are counted. */
  leaks = 0
  readonly sentences: string[] = []

  corruption(sentence: string): void {
    this.corruptions++
    this.#note(sentence)
  }

  leak(sentence: string): void {
    this.leaks++
    this.#note(sentence)
  }

  /** @param count leaks that one sentence tells of */
  leaking(count: number, sentence: string): void {
    this.leaks += count
    this.#note(sentence)
  }

  #note(sentence: string): void {
    if (this.sentences.length < MOST_SENTENCES) this.sentences.push(sentence)
  }
}
