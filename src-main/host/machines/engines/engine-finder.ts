/**
 * What engines this computer has beside the embedded one. Looked for once, in the background, when first asked for or when the host has time;
 * what was found rests in the cache, so that the next host knows it at once.
 */
import { Emitter } from '../../../../src-shared/base/event.ts'
import { asAppError } from '../../../../src-shared/errors/app-error.ts'
import { NO_QEMU, type QemuFacts } from '../../../../src-shared/model/engine-facts.ts'
import { qemuThread } from '../../../../src-shared/threads/qemu-thread.ts'
import type { Log } from '../../log/log.ts'
import type { EngineFacts, EngineFactsSource } from '../../planner/facts.ts'
import { readComputer } from '../../planner/read-computer.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'

export interface EngineFinderParts {
  /** Null: there is nothing to be looked for. */
  qemu: SharedThread | null
  resources: string
  cacheFolder: string
  log: Log
}

export class EngineFinder implements EngineFactsSource {
  #parts: EngineFinderParts
  #current: EngineFacts
  #found: Promise<void> | null = null
  #onFound = new Emitter<void>()

  /** `current` has changed. */
  readonly onFound = this.#onFound.event

  constructor(parts: EngineFinderParts) {
    this.#parts = parts
    this.#current = { computer: readComputer(), qemu: NO_QEMU, searching: parts.qemu !== null }
  }

  get current(): EngineFacts {
    return this.#current
  }

  whenFound(): Promise<void> {
    return (this.#found ??= this.find(false).then(
      () => {},
      (error: unknown) => {
        this.#parts.log.warn('engines', 'Looking for QEMU failed.', { error: asAppError(error) })
        this.#set(NO_QEMU)
      },
    ))
  }

  /**
   * @param refresh tries everything anew
   * @throws AppError where the search itself fails
   */
  async find(refresh: boolean): Promise<QemuFacts> {
    const { qemu: thread, resources, cacheFolder } = this.#parts
    if (!thread) return NO_QEMU
    const qemu = await thread.use(({ rpc }) => rpc.service(qemuThread).find({ resources, cacheFolder, refresh }))
    this.#set(qemu)
    return qemu
  }

  #set(qemu: QemuFacts): void {
    this.#current = { computer: readComputer(), qemu }
    this.#onFound.fire()
  }

  dispose(): void {
    this.#onFound.dispose()
  }
}
