/** Frozen states of machines: take, go back to, name, delete. */
import { z } from 'zod'
import { nameSchema } from '../model/names.ts'
import { DECISIONS } from '../model/run.ts'
import { snapshotLabelSchema, snapshotNoteSchema, type SnapshotTree } from '../model/snapshot.ts'
import { call, defineService, event, stream } from '../rpc/service.ts'
import type { TaskStarted } from './tasks.ts'

const machine = z.uuid()
const one = { machine, snapshot: z.uuid() }

export const snapshots = defineService('snapshots', {
  tree: call(z.strictObject({ machine })).returns<SnapshotTree>(),
  /** Something of a machine's tree changed. */
  changed: event<{ machine: string }>(),
  /** `memory`: of a machine that runs or is suspended, what it was doing is kept as well. A machine that runs stands still meanwhile, and goes on. */
  take: call(
    z.strictObject({
      machine,
      label: snapshotLabelSchema,
      note: snapshotNoteSchema.default(''),
      memory: z.boolean().default(true),
    }),
  ).returns<TaskStarted>(),
  /**
   * The machine becomes what it was. What it is now is lost, unless `keep` names a snapshot of it that is taken first. One that ran when the snapshot was
   * taken runs again.
   */
  restore: call(z.strictObject({ ...one, keep: snapshotLabelSchema.nullable() })).returns<TaskStarted>(),
  update: call(
    z.strictObject({
      ...one,
      label: snapshotLabelSchema.optional(),
      note: snapshotNoteSchema.optional(),
      pinned: z.boolean().optional(),
    }),
  ).returns<void>(),
  /** What later states need of it is merged into them. `subtree`: with everything that came from it, unless the machine's present state did. */
  delete: call(z.strictObject({ ...one, subtree: z.boolean() })).returns<TaskStarted>(),
  /**
   * What becomes of what a machine did on a trial (model/run.ts). It is off; keeping can be said any time. `label`: of the snapshot that a branch becomes.
   * Fails with `wrong-state` where nothing is to be decided, or not yet.
   */
  decide: call(
    z.strictObject({ machine, decision: z.enum(DECISIONS), label: snapshotLabelSchema.default('Branch') }),
  ).returns<TaskStarted>(),
  /**
   * A machine of its own that begins, off, at the snapshot and shares its disks' files; either may be deleted without the other. `snapshot` null: at the
   * present state, of which a snapshot is taken where the last one is another state.
   */
  clone: call(z.strictObject({ machine, snapshot: z.uuid().nullable(), name: nameSchema })).returns<TaskStarted>(),
  /**
   * What two states differ in: snapshots, or (null) the present state, which fails with `wrong-state` while the machine runs. A machine at rest cannot be
   * started meanwhile. The task's result has the `comparison`.
   */
  compare: call(z.strictObject({ machine, before: z.uuid().nullable(), after: z.uuid().nullable() })).returns<TaskStarted>(),
  /** The screen when it was taken: the bytes of a PNG file, then the end. `not-found` where there was none. */
  picture: stream(z.strictObject(one)).returns<{ bytes: number }>(),
})
