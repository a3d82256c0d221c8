/**
 * Snapshots: frozen states of a machine, as a tree. What a snapshot is on disk stands in `snapshots/<id>/snapshot.json`; its disks are the image files
 * that its configuration names, which nobody writes any more.
 */
import { z } from 'zod'
import { machineConfigSchema } from './machine.ts'

/** Of one machine. */
export const MAX_SNAPSHOTS = 500
export const MAX_LABEL = 100
const MAX_NOTE = 4096

export const snapshotLabelSchema = z
  .string()
  .trim()
  .min(1, 'Give the snapshot a name.')
  .max(MAX_LABEL, `A snapshot’s name has at most ${MAX_LABEL} characters.`)
  // eslint-disable-next-line no-control-regex -- these are what must not be in it
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'A snapshot’s name is one line.')
export const snapshotNoteSchema = z.string().max(MAX_NOTE, `A snapshot’s note has at most ${MAX_NOTE} characters.`)

/** `schedule`, `start`: by itself, at its time or before a start; such ones are thinned out. `run`: the beginning of a trial (run.ts). */
export const SNAPSHOT_MAKERS = ['person', 'schedule', 'start', 'run'] as const
export type SnapshotMaker = (typeof SNAPSHOT_MAKERS)[number]

/** Whether it may be deleted by itself, where it is not pinned. */
export function isThinned(by: SnapshotMaker): boolean {
  return by === 'schedule' || by === 'start'
}

export const snapshotSchema = z.strictObject({
  schema: z.literal(1),
  id: z.uuid(),
  /** The state that it came from; null: the machine as it was made. */
  parent: z.uuid().nullable(),
  label: snapshotLabelSchema,
  note: snapshotNoteSchema.default(''),
  created: z.iso.datetime(),
  /** Never deleted by itself. */
  pinned: z.boolean().default(false),
  by: z.enum(SNAPSHOT_MAKERS).default('person'),
  /** The machine as it was; its own disks are those that the snapshot has frozen. */
  config: machineConfigSchema,
  /** The engine whose memory state is kept beside it; null: the machine was off. */
  memory: z.enum(['embedded', 'qemu']).nullable(),
})
export type Snapshot = z.output<typeof snapshotSchema>

/** A snapshot as the window and the command line see it. */
export interface SnapshotView {
  id: string
  parent: string | null
  label: string
  note: string
  /** ISO time. */
  created: string
  pinned: boolean
  by: SnapshotMaker
  /** The machine ran: it goes on from here, and does not start afresh. */
  running: boolean
  /** Bytes that only this snapshot takes: they are free when it is deleted (at most: what later states need is kept). */
  bytes: number
  /** Whether there is a picture of its screen. */
  picture: boolean
}

/** All of a machine's snapshots. */
export interface SnapshotTree {
  /** Oldest first; every parent is there, before its children. */
  snapshots: SnapshotView[]
  /** The snapshot that the machine's present state came from; null: the machine as it was made. */
  current: string | null
  /** Bytes that the present state takes on top of that. */
  currentBytes: number
  /** Why no snapshot can be taken now, as sentences; empty where one can. */
  obstacles: string[]
  /** What a snapshot taken now does not keep, as sentences. */
  leftOut: string[]
}
