/** Long work, kept by `tasks.changed`. */
import { SvelteMap } from 'svelte/reactivity'
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { Task } from '../../src-shared/api/tasks.ts'
import type { Host } from '../client/host.ts'

export class TaskList {
  #host: Host
  #tasks = new SvelteMap<string, Task>()
  #listening: Disposable[]

  /** Newest first. */
  readonly all = $derived([...this.#tasks.values()].sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1)))
  readonly running = $derived(this.all.filter((task) => task.state === 'running'))
  readonly ended = $derived(this.all.filter((task) => task.state !== 'running'))

  constructor(host: Host) {
    this.#host = host
    this.#listening = [
      host.tasks.changed((task) => this.#put(task)),
      host.tasks.cleared(({ ids }) => {
        for (const id of ids) this.#tasks.delete(id)
      }),
    ]
  }

  get(id: string | null): Task | undefined {
    return id === null ? undefined : this.#tasks.get(id)
  }

  async load(): Promise<void> {
    const list = await this.#host.tasks.list({})
    this.#tasks.clear()
    for (const task of list) this.#put(task)
  }

  /** Resolves when the task has ended, however; rejects when the host cannot be asked. */
  whenEnded(id: string): Promise<Task> {
    return this.#host.tasks.wait({ id })
  }

  #put(task: Task): void {
    this.#tasks.set(task.id, task)
  }

  dispose(): void {
    for (const listener of this.#listening) listener.dispose()
  }
}

/** 0 … 1; null while the amount is unknown. */
export function taskShare(task: Task): number | null {
  return task.progress && task.progress.total > 0 ? task.progress.done / task.progress.total : null
}
