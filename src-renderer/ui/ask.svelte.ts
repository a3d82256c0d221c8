/** `await ask({ … })`: a confirmation from code. AskHost, mounted once, shows it. */
export interface Question {
  title: string
  /** What will be lost, and whether it can be had back. */
  text: string
  /** The verb on the button. */
  action: string
  danger?: boolean
}

class Asking {
  question = $state.raw<Question | null>(null)
  #answer: ((yes: boolean) => void) | null = null

  ask(question: Question): Promise<boolean> {
    this.answer(false)
    this.question = question
    return new Promise((resolve) => (this.#answer = resolve))
  }

  answer(yes: boolean): void {
    this.question = null
    this.#answer?.(yes)
    this.#answer = null
  }
}

export const asking = new Asking()

/** True when the person chose to go on. */
export function ask(question: Question): Promise<boolean> {
  return asking.ask(question)
}
