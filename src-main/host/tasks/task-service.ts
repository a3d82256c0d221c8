/** Long work with progress and cancel: other services start it here, people watch and cancel it through `tasks`. */
import type { tasks, Task, TaskKind, TaskStarted } from '../../../src-shared/api/tasks.ts'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, nextValue, type Event } from '../../../src-shared/base/event.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'

/** Ended tasks that are remembered. */
export const MAX_ENDED = 100
/** Progress is told at most this often: once in so many ms for each task. */
export const PROGRESS_INTERVAL = 100

export interface TaskSpec {
  kind: TaskKind
  /** For people: "Creating “web-1”". */
  title: string
  /** Id of the machine that it is about. */
  machine?: string | null
  /** Id of its snapshot that it is about. */
  snapshot?: string
  /** Default true. */
  cancellable?: boolean
  /** Starts the same work anew, after it failed or was cancelled; absent where that makes no sense. */
  again?(): TaskStarted | Promise<TaskStarted>
}

/** What the work gets. */
export interface TaskContext {
  readonly id: string
  /** Aborts with AppError `cancelled` when somebody cancels, or the host ends. */
  readonly signal: AbortSignal
  /** What is being done now, for people. */
  step(text: string): void
  progress(done: number, total: number, unit: 'bytes' | 'steps'): void
}

export class TaskService implements Disposable {
  /** In the order of their start. */
  #running = new Map<string, RunningTask>()
  /** In the order of their end. */
  #ended = new Map<string, Task>()
  /** Of those that ended and can be done anew. */
  #again = new Map<string, NonNullable<TaskSpec['again']>>()
  #changed = new Emitter<Task>()
  #cleared = new Emitter<{ ids: string[] }>()

  readonly onChanged: Event<Task> = this.#changed.event

  readonly handlers: Handlers<typeof tasks> = {
    list: () => [...this.#ended.values(), ...[...this.#running.values()].map((task) => task.view())],
    changed: this.#changed.event,
    cancel: ({ id }) => this.cancel(id),
    restart: ({ id }) => this.restart(id),
    wait: ({ id }, { signal }) => this.#whenEnded(id, signal),
    clear: () => {
      this.#forget([...this.#ended.keys()])
    },
    cleared: this.#cleared.event,
  }

  /**
   * Runs `work` at once, in the background; every end of it is recorded: its result, its error, or that it was cancelled.
   * @param work gives the task's result; on an aborted signal it cleans up and throws `signal.reason`
   */
  start(spec: TaskSpec, work: (context: TaskContext) => Promise<Task['result']>): TaskStarted {
    const task = new RunningTask(spec, (view) => this.#changed.fire(view))
    this.#running.set(task.id, task)
    void task.run(work).then((view) => {
      this.#running.delete(view.id)
      if (view.restartable) this.#again.set(view.id, spec.again!.bind(spec))
      this.#remember(view)
      this.#changed.fire(view)
    })
    return { task: task.id }
  }

  get(id: string): Task | undefined {
    return this.#running.get(id)?.view() ?? this.#ended.get(id)
  }

  /** Whether something is being done with this machine. */
  isAbout(machine: string): boolean {
    return [...this.#running.values()].some((task) => task.machine === machine)
  }

  /** @throws AppError `not-found` where there never was such a task, or it is forgotten */
  whenEnded(id: string): Promise<Task> {
    return this.#whenEnded(id)
  }

  /** Cancels what runs, cancellable or not: the host ends. */
  dispose(): void {
    for (const task of this.#running.values()) task.abort()
  }

  /** Cancels what runs, and resolves when all of it has ended. */
  async close(): Promise<void> {
    const running = [...this.#running.keys()]
    this.dispose()
    await Promise.all(running.map((id) => this.#whenEnded(id)))
  }

  async #whenEnded(id: string, signal?: AbortSignal): Promise<Task> {
    const task = this.#existing(id)
    return task.state === 'running' ? nextValue(this.onChanged, (next) => next.id === id && next.state !== 'running', signal) : task
  }

  /** Asks it to end; one that has ended is left alone. @throws AppError `not-found`, `wrong-state` where it cannot be cancelled */
  cancel(id: string): void {
    const task = this.#existing(id)
    if (task.state !== 'running') return
    if (!task.cancellable) throw new AppError('wrong-state', `“${task.title}” cannot be cancelled now.`, { subject: id })
    this.#running.get(id)?.abort()
  }

  /**
   * @throws AppError `not-found`, `wrong-state` where it did not end so that it could be done anew, or why it cannot be begun: then the old one stays
   */
  async restart(id: string): Promise<TaskStarted> {
    const task = this.#existing(id)
    const again = this.#again.get(id)
    if (!again) throw new AppError('wrong-state', `“${task.title}” cannot be done again from here.`, { subject: id })
    // Once, however often it is asked for.
    this.#again.delete(id)
    try {
      const started = await again()
      this.#forget([id])
      return started
    } catch (error) {
      this.#again.set(id, again)
      throw error
    }
  }

  #existing(id: string): Task {
    const task = this.get(id)
    if (!task) throw new AppError('not-found', 'That task is not known any more.', { subject: id })
    return task
  }

  #remember(task: Task): void {
    this.#ended.set(task.id, task)
    const oldest = this.#ended.size > MAX_ENDED ? this.#ended.keys().next().value : undefined
    if (oldest !== undefined) this.#forget([oldest])
  }

  #forget(ids: string[]): void {
    for (const id of ids) {
      this.#ended.delete(id)
      this.#again.delete(id)
    }
    if (ids.length > 0) this.#cleared.fire({ ids })
  }
}

class RunningTask {
  readonly id = newId()
  #task: Task
  #canRestart: boolean
  #tell: (task: Task) => void
  #controller = new AbortController()
  #toldAt = -Infinity
  #timer: NodeJS.Timeout | null = null

  constructor(spec: TaskSpec, tell: (task: Task) => void) {
    this.#tell = tell
    this.#canRestart = spec.again !== undefined
    this.#task = {
      id: this.id,
      kind: spec.kind,
      title: spec.title,
      machine: spec.machine ?? null,
      ...(spec.snapshot === undefined ? {} : { snapshot: spec.snapshot }),
      state: 'running',
      step: '',
      progress: null,
      cancellable: spec.cancellable ?? true,
      restartable: false,
      startedAt: new Date().toISOString(),
      endedAt: null,
      error: null,
      result: null,
    }
  }

  get machine(): string | null {
    return this.#task.machine
  }

  view(): Task {
    return structuredClone(this.#task)
  }

  abort(): void {
    if (this.#controller.signal.aborted) return
    this.#change({ cancellable: false, step: 'Cancelling' })
    this.#controller.abort(AppError.cancelled())
  }

  /** Never rejects: the answer is the task as it ended. */
  async run(work: (context: TaskContext) => Promise<Task['result']>): Promise<Task> {
    this.#publish()
    const signal = this.#controller.signal
    // After a cancel the step stays "Cancelling", whatever the work still says.
    const live = (change: Partial<Task>): void => {
      if (this.#task.state === 'running' && !signal.aborted) this.#change(change)
    }
    let end: Partial<Task>
    try {
      const result = await work({
        id: this.id,
        signal,
        step: (step) => live({ step }),
        progress: (done, total, unit) => live({ progress: { done, total, unit } }),
      })
      end = { state: 'done', result }
    } catch (error) {
      const known = asAppError(error, this.#task.title)
      end = known.code === 'cancelled' ? { state: 'cancelled' } : { state: 'failed', error: known.toWire() }
    }
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    if (signal.aborted) end.step = ''
    const restartable = this.#canRestart && end.state !== 'done'
    Object.assign(this.#task, end, { cancellable: false, restartable, endedAt: new Date().toISOString() })
    return this.view()
  }

  /** Tells at once, or after the rest of the interval; changes in between are merged. */
  #change(change: Partial<Task>): void {
    Object.assign(this.#task, change)
    if (this.#timer) return
    const wait = this.#toldAt + PROGRESS_INTERVAL - performance.now()
    if (wait <= 0) this.#publish()
    else this.#timer = setTimeout(() => this.#publish(), wait)
  }

  #publish(): void {
    this.#timer = null
    this.#toldAt = performance.now()
    this.#tell(this.view())
  }
}
