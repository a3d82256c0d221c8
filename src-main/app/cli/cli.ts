/** What a command gets: its output, the host, and the machine that it is about. */
import { resolve } from 'node:path'
import type { MachineView } from '../../../src-shared/api/machines.ts'
import type { Task, TaskKind, TaskStarted } from '../../../src-shared/api/tasks.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { DisposableStore } from '../../../src-shared/base/disposable.ts'
import { defaultLibrary } from '../paths.ts'
import { ensureHost } from '../local/connect.ts'
import { EXIT } from './errors.ts'
import { findMachine } from './find-machine.ts'
import { ProgressBar } from './output/progress.ts'
import { Output } from './output/output.ts'
import { servicesOf, type Services } from './services.ts'

/** Where a cancelled task may have done a part of its work. */
const CHANGES_IN_PLACE: ReadonlySet<TaskKind> = new Set(['compact-image', 'check-image', 'commit-image', 'rebase-image', 'capture-packets'])

export interface GlobalOptions {
  json?: boolean
  library?: string
}

export class Cli {
  readonly output: Output
  /** Absolute. */
  readonly library: string
  /** What the process ends with when the command is done, and when it failed. */
  readonly exit: { done: number; failed: number } = { done: EXIT.done, failed: EXIT.failed }
  /** Disposed when the command has ended. */
  readonly store = new DisposableStore()

  constructor(options: GlobalOptions) {
    this.output = new Output(options.json === true)
    this.library = options.library === undefined ? defaultLibrary() : resolve(options.library)
  }

  /** The library's host; a headless one is started where none runs. */
  async host(): Promise<Services> {
    return servicesOf(this.store.add(await ensureHost(this.library, { start: true, waiting: (sentence) => this.output.note(sentence) })))
  }

  async machine(host: Services, wanted: string): Promise<MachineView> {
    return findMachine(await host.machines.list({}), wanted)
  }

  /** Aborts at the first Ctrl-C or request to end; a second one ends this process at once. */
  interruption(): AbortSignal {
    const controller = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const onSignal = (): void => controller.abort(AppError.cancelled())
      process.once(signal, onSignal)
      this.store.defer(() => process.removeListener(signal, onSignal))
    }
    return controller.signal
  }

  /**
   * Waits for long work, showing its progress. Ctrl-C cancels it.
   * @throws the task's error, or AppError `cancelled`
   */
  async follow(host: Services, start: () => Promise<TaskStarted>): Promise<Task> {
    const interruption = this.interruption()
    const bar = new ProgressBar(process.stderr)
    let id: string | null = null
    const watching = host.tasks.changed((task) => {
      if (task.id === id) bar.show(task)
    })
    try {
      const { task } = await start()
      id = task
      const cancel = (): void => void host.tasks.cancel({ id: task }).catch((error: AppError) => this.output.note(error.message))
      if (interruption.aborted) cancel()
      else interruption.addEventListener('abort', cancel, { once: true })
      const ended = await host.tasks.wait({ id: task })
      bar.clear()
      if (ended.state === 'done') return ended
      if (ended.state === 'cancelled' || !ended.error)
        throw new AppError('cancelled', `${ended.title} was cancelled.${CHANGES_IN_PLACE.has(ended.kind) ? '' : ' Nothing is left of it.'}`)
      throw AppError.fromWire(ended.error)
    } finally {
      bar.clear()
      watching.dispose()
    }
  }

  /** The machine after an action, as result: "a: running". */
  printState(machine: MachineView, word: string): void {
    this.output.result(machine, () => this.output.line(`${machine.name}: ${word}`))
  }
}

/** How command files run their work: errors become a sentence and an exit code. */
export type Run = (work: (cli: Cli) => Promise<void>) => Promise<void>
