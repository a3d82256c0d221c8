/**
 * Which requests on one device may overlap in time. A request waits for every earlier one that is still under way and touches the same bytes,
 * unless both only read; everything else runs at once. So a guest's two writes to one sector land in their order, and a read sees what was
 * written before it, while independent requests do not wait for each other.
 */
interface UnderWay {
  start: number
  /** After the last byte. */
  end: number
  writes: boolean
  done: Promise<void>
}

export class RequestOrder {
  #underWay = new Set<UnderWay>()

  /** Runs `work`, which touches `length` bytes from `start` on, when nothing is in its way. */
  run<T>(writes: boolean, start: number, length: number, work: () => Promise<T>): Promise<T> {
    const end = start + length
    const inTheWay = [...this.#underWay].filter((other) => (writes || other.writes) && other.start < end && start < other.end)
    const result = inTheWay.length === 0 ? work() : Promise.all(inTheWay.map(({ done }) => done)).then(work)
    const entry: UnderWay = { start, end, writes, done: Promise.resolve() }
    entry.done = result.then(
      () => void this.#underWay.delete(entry),
      () => void this.#underWay.delete(entry),
    )
    this.#underWay.add(entry)
    return result
  }

  /** Runs `work` after every write that was asked for before; later requests do not wait for it. */
  async afterWrites<T>(work: () => Promise<T>): Promise<T> {
    await Promise.all([...this.#underWay].filter(({ writes }) => writes).map(({ done }) => done))
    return work()
  }

  /** When nothing is under way any more. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all([...this.#underWay].map(({ done }) => done))
  }
}
