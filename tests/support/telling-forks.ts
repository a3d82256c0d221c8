/**
 * Workers of the test runner that say how they ended: the runner itself says only that one "exited unexpectedly", without the file, and whether
 * it was a signal or an exit code is where the search for the reason begins.
 */
import { ForksPoolWorker, type PoolOptions, type PoolRunnerInitializer, type WorkerRequest } from 'vitest/node'

class TellingFork extends ForksPoolWorker {
  #files = 'no file yet'
  #stopping = false

  override send(message: WorkerRequest): void {
    if (message.type === 'run') this.#files = message.context.files.map((file) => file.filepath).join(', ')
    super.send(message)
  }

  override async start(): Promise<void> {
    await super.start()
    this.on('exit', (...how: unknown[]) => {
      if (!this.#stopping) console.error(`A test worker ended in ${this.#files}: exit code ${String(how[0])}, signal ${String(how[1])}.`)
    })
  }

  override stop(): Promise<void> {
    this.#stopping = true
    return super.stop()
  }
}

export const tellingForks: PoolRunnerInitializer = {
  name: 'telling-forks',
  createPoolWorker: (options: PoolOptions) => new TellingFork(options),
}
