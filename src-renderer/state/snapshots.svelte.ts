/** The snapshot trees of machines, read when somebody looks and again when the host says that they changed. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { Task } from '../../src-shared/api/tasks.ts'
import { asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import type { SnapshotTree } from '../../src-shared/model/snapshot.ts'
import type { Host } from '../client/host.ts'

export class MachineSnapshots {
  #host: Host
  #id: string
  #asked = 0
  #watchers = 0

  /** Null until it came once. */
  tree = $state.raw<SnapshotTree | null>(null)
  error = $state.raw<WireError | null>(null)
  /** The snapshot that is chosen in the tree; null: the present state. */
  selected = $state<string | null>(null)

  constructor(host: Host, id: string) {
    this.#host = host
    this.#id = id
  }

  get watched(): boolean {
    return this.#watchers > 0
  }

  /** Reads the tree, and keeps it right until the returned function is called. */
  watch(): () => void {
    this.#watchers++
    void this.load()
    return () => this.#watchers--
  }

  async load(): Promise<void> {
    const asked = ++this.#asked
    try {
      const tree = await this.#host.snapshots.tree({ machine: this.#id })
      if (asked === this.#asked) this.#take(tree)
    } catch (error) {
      if (asked === this.#asked) this.error = asAppError(error, 'Reading the snapshots').toWire()
    }
  }

  #take(tree: SnapshotTree): void {
    const before = this.tree
    this.tree = tree
    this.error = null
    // The chosen one is gone: what it came from has its place.
    while (this.selected !== null && !tree.snapshots.some(({ id }) => id === this.selected))
      this.selected = before?.snapshots.find(({ id }) => id === this.selected)?.parent ?? null
  }
}

export class Snapshots implements Disposable {
  #host: Host
  #machines = new Map<string, MachineSnapshots>()
  #listening: Disposable

  constructor(host: Host) {
    this.#host = host
    this.#listening = host.snapshots.changed(({ machine }) => {
      const known = this.#machines.get(machine)
      if (known?.watched) void known.load()
    })
  }

  of(machine: string): MachineSnapshots {
    let known = this.#machines.get(machine)
    if (!known) this.#machines.set(machine, (known = new MachineSnapshots(this.#host, machine)))
    return known
  }

  dispose(): void {
    this.#listening.dispose()
  }
}

const KINDS: readonly string[] = ['take-snapshot', 'restore-snapshot', 'delete-snapshot'] satisfies Task['kind'][]

/** Whether the task changes the machine's snapshots. */
export function isSnapshotTask(task: Task, machine: string): boolean {
  return task.machine === machine && KINDS.includes(task.kind)
}
