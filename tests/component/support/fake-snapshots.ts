/** Snapshots of machines, kept in memory: a tree for each, and one picture for all that have one. */
import type { snapshots } from '../../../src-shared/api/index.ts'
import type { Task, TaskResult } from '../../../src-shared/api/tasks.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { SnapshotTree, SnapshotView } from '../../../src-shared/model/snapshot.ts'
import type { FileSystemChanges } from '../../../src-shared/model/file-changes.ts'
import type { SnapshotComparison } from '../../../src-shared/model/snapshot-comparison.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import { fakeTask } from './fake-objects.ts'

export function fakeSnapshot(label: string, over: Partial<SnapshotView> = {}): SnapshotView {
  const created = new Date(Date.now() - 3 * 60 * 60_000).toISOString()
  return {
    id: newId(),
    parent: null,
    label,
    note: '',
    created,
    pinned: false,
    by: 'person',
    running: false,
    bytes: 120 * MiB,
    picture: false,
    ...over,
  }
}

export function fakeTree(list: SnapshotView[] = [], over: Partial<SnapshotTree> = {}): SnapshotTree {
  return { snapshots: list, current: list.at(-1)?.id ?? null, currentBytes: 34 * MiB, obstacles: [], leftOut: [], ...over }
}

function fakeFiles(): FileSystemChanges {
  return {
    ...{ partition: 1, kind: 'ext', label: 'root', note: null, counts: { added: 1, changed: 1, removed: 700 } },
    added: [{ path: '/etc/new.conf', before: null, after: 2048 }],
    changed: [{ path: '/etc/passwd', before: 1024, after: 1100 }],
    removed: Array.from({ length: 500 }, (_, i) => ({ path: `/var/cache/package-${i}.deb`, before: 10_000 * i, after: null })),
  }
}

export class FakeSnapshots {
  #trees = new Map<string, SnapshotTree>()
  /** What was asked for, in order. */
  readonly asked: unknown[] = []
  /** Pictures that were sent. */
  pictures = 0
  readonly changed = new Emitter<{ machine: string }>()

  tree(machine: string): SnapshotTree {
    return this.#trees.get(machine) ?? fakeTree()
  }

  put(machine: string, tree: SnapshotTree): void {
    this.#trees.set(machine, tree)
    this.changed.fire({ machine })
  }

  /** @param called records a call, and fails it where a test asked for it @param start begins a task; `finish` runs at its end */
  handlers(called: (name: string) => void, start: (task: Task, finish: () => TaskResult) => { task: string }): Handlers<typeof snapshots> {
    const begin = (task: Partial<Task>, change: () => SnapshotTree): { task: string } =>
      start(fakeTask(task), () => (this.put(task.machine!, change()), {}))
    const find = (machine: string, id: string): SnapshotView => {
      const found = this.tree(machine).snapshots.find((one) => one.id === id)
      if (!found) throw new AppError('not-found', 'There is no such snapshot.')
      return found
    }
    const taken = (machine: string, label: string, note: string, running: boolean): SnapshotTree => {
      const tree = this.tree(machine)
      const next = fakeSnapshot(label, { parent: tree.current, note, running, created: new Date().toISOString(), bytes: tree.currentBytes })
      return { ...tree, snapshots: [...tree.snapshots, next], current: next.id, currentBytes: 0 }
    }
    return {
      tree: ({ machine }) => (called('snapshots.tree'), this.tree(machine)),
      changed: this.changed.event,
      take: (input) => {
        called('snapshots.take')
        this.asked.push(input)
        const { machine, label, note, memory } = input
        return begin({ kind: 'take-snapshot', title: `Taking “${label}”`, machine }, () => taken(machine, label, note, memory))
      },
      restore: (input) => {
        called('snapshots.restore')
        this.asked.push(input)
        const { machine, snapshot, keep } = input
        const title = `Restoring “${find(machine, snapshot).label}”`
        return begin({ kind: 'restore-snapshot', title, machine, snapshot }, () => ({
          ...(keep === null ? this.tree(machine) : taken(machine, keep, '', false)),
          current: snapshot,
          currentBytes: 0,
        }))
      },
      update: ({ machine, snapshot, ...patch }) => {
        called('snapshots.update')
        this.asked.push(patch)
        find(machine, snapshot)
        const tree = this.tree(machine)
        this.put(machine, {
          ...tree,
          snapshots: tree.snapshots.map((one) => (one.id === snapshot ? ({ ...one, ...patch } as SnapshotView) : one)),
        })
      },
      delete: (input) => {
        called('snapshots.delete')
        this.asked.push(input)
        const { machine, snapshot, subtree } = input
        const gone = find(machine, snapshot)
        return begin({ kind: 'delete-snapshot', title: `Deleting “${gone.label}”`, machine, snapshot }, () => {
          const tree = this.tree(machine)
          const dead = new Set([snapshot])
          if (subtree) for (const one of tree.snapshots) if (one.parent !== null && dead.has(one.parent)) dead.add(one.id)
          return {
            ...tree,
            snapshots: tree.snapshots
              .filter((one) => !dead.has(one.id))
              .map((one) => (one.parent === snapshot ? { ...one, parent: gone.parent } : one)),
            current: tree.current === snapshot ? gone.parent : tree.current,
          }
        })
      },
      decide: (input) => {
        called('snapshots.decide')
        this.asked.push(input)
        return begin({ kind: 'restore-snapshot', title: 'Deciding', machine: input.machine }, () => this.tree(input.machine))
      },
      clone: (input) => {
        called('snapshots.clone')
        this.asked.push(input)
        const { machine, snapshot, name } = input
        if (snapshot !== null) find(machine, snapshot)
        return start(fakeTask({ kind: 'duplicate-machine', title: `Cloning “${name}”`, machine }), () => ({ id: machine }))
      },
      compare: (input) => {
        called('snapshots.compare')
        this.asked.push(input)
        const { machine, before, after } = input
        for (const id of [before, after]) if (id !== null) find(machine, id)
        const parts = Array.from({ length: 480 }, (_, i) => (i % 97 < 5 ? MiB / 2 : i > 200 && i < 260 ? 2 * MiB : 0))
        const changedBytes = parts.reduce((sum, bytes) => sum + bytes, 0)
        const difference = {
          sizes: { before: 960 * MiB, after: 960 * MiB },
          ...{ blockSize: 4096, changedBlocks: changedBytes / 4096, changedBytes, comparedBytes: changedBytes },
          ...{ part: 2 * MiB, parts },
        }
        const disks: SnapshotComparison['disks'] = [
          { drive: 'disk0', there: 'both', difference, files: [fakeFiles()] },
          { drive: 'disk1', there: 'added', difference: null, files: [] },
        ]
        const task = fakeTask({ kind: 'compare-snapshots', title: 'Comparing states', machine })
        return start(task, () => ({ comparison: { before, after, disks } }))
      },
      picture: async ({ machine, snapshot }, stream) => {
        called('snapshots.picture')
        if (!find(machine, snapshot).picture) throw new AppError('not-found', 'There is no picture of this snapshot.')
        this.pictures++
        const canvas = new OffscreenCanvas(320, 240)
        const context = canvas.getContext('2d')!
        context.fillStyle = `hsl(${this.pictures * 47} 45% 35%)`
        context.fillRect(0, 0, 320, 240)
        const png = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer())
        void stream.write(png).then(() => stream.end())
        return { bytes: png.length }
      },
    }
  }
}
