/**
 * Merging the disks of machines whose snapshots were deleted while they ran: when they are off, or at the next start of a host, which tidies up what killed ones
 * left as well. That there is something to do is seen in the folder of snapshots (snapshot-files.ts).
 */
import type { Machine } from '../machines/machine.ts'
import { atRest, type SnapshotParts } from './machine-at-rest.ts'
import { hasLeftovers, readSnapshots } from './snapshot-files.ts'
import type { SnapshotTasks } from './snapshot-tasks.ts'
import { tidy } from './tidy.ts'

export class Merging {
  #parts: SnapshotParts
  #tasks: SnapshotTasks
  #waiting = new Set<string>()

  constructor(parts: SnapshotParts, tasks: SnapshotTasks) {
    this.#parts = parts
    this.#tasks = tasks
  }

  /** A snapshot of it was deleted while it runs. */
  waitFor(machine: Machine): void {
    this.#waiting.add(machine.id)
  }

  /** What an earlier host left. */
  async look(machine: Machine): Promise<void> {
    if (!(await hasLeftovers(machine.bundle.folder))) return
    this.waitFor(machine)
    await this.mergeWhenOff(machine)
  }

  /** Something of the machine changed: it may be off now. */
  async mergeWhenOff(machine: Machine): Promise<void> {
    const { id } = machine
    if (!this.#waiting.has(id) || runs(machine)) return
    // It may have begun again, or be going on after a snapshot: then its next end is waited for.
    await machine.settled()
    if (runs(machine) || this.#tasks.closed || !this.#waiting.delete(id)) return
    this.#tasks.start({ kind: 'delete-snapshot', title: `Merging disks of “${machine.bundle.name}”` }, machine, async (context) => {
      // Those that had their turn before may have started it: then it is done at its next end.
      if (runs(machine)) {
        this.#waiting.add(id)
        return { id }
      }
      await atRest(machine, 'having its disks merged', this.#parts.library, async (bundle, config) =>
        tidy(bundle, config, await readSnapshots(bundle), false, this.#parts, context),
      )
      return { id }
    })
  }
}

function runs(machine: Machine): boolean {
  return machine.session !== null || machine.bundle.suspended !== null
}
