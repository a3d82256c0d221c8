/** Long work: started by other services, watched and cancelled here. */
import { z } from 'zod'
import type { WireError } from '../errors/app-error.ts'
import type { ImageCheck } from '../model/image-info.ts'
import type { SnapshotComparison } from '../model/snapshot-comparison.ts'
import { call, defineService, event } from '../rpc/service.ts'

export type TaskKind =
  | 'create-machine'
  | 'duplicate-machine'
  | 'suspend-machine'
  | 'take-snapshot'
  | 'restore-snapshot'
  | 'delete-snapshot'
  | 'compare-snapshots'
  | 'prepare-appliance'
  | 'convert-image'
  | 'compact-image'
  | 'check-image'
  | 'commit-image'
  | 'rebase-image'
  | 'import-machine'
  | 'export-machine'
  | 'capture-packets'
export type TaskState = 'running' | 'done' | 'failed' | 'cancelled'

export interface Task {
  id: string
  kind: TaskKind
  /** For people: "Creating “web-1”". */
  title: string
  /** The machine it is about. */
  machine: string | null
  /** restore-snapshot, delete-snapshot: the snapshot that it is about. */
  snapshot?: string
  state: TaskState
  /** The current step, for people; '' before the first. */
  step: string
  /** Null while the amount of work is unknown. `unit` 'bytes' is shown as a size. */
  progress: { done: number; total: number; unit: 'bytes' | 'steps' } | null
  cancellable: boolean
  /** It did not end well, and can be done anew. */
  restartable: boolean
  startedAt: string
  endedAt: string | null
  error: WireError | null
  result: TaskResult | null
}

/** By kind. */
export interface TaskResult {
  /** create-machine, duplicate-machine, import-machine, suspend-machine: of the machine. */
  id?: string
  /** convert-image: bytes of the disk. */
  size?: number
  /** compact-image: bytes that the file took before, and takes now. */
  room?: { before: number; after: number }
  /** compare-snapshots. */
  comparison?: SnapshotComparison
  /** commit-image, rebase-image: bytes of data that were copied. */
  copied?: number
  /** commit-image: the image that has it all now. */
  into?: string
  /** check-image; null: its format has nothing to look through, and it could be opened. */
  check?: ImageCheck | null
  /** export-machine, capture-packets: bytes of the file. */
  bytes?: number
  /** capture-packets. */
  frames?: number
  /** import-machine, export-machine: what is not as it was, as sentences. */
  remarks?: string[]
}

/** What a call that starts long work answers. */
export interface TaskStarted {
  task: string
}

const id = z.strictObject({ id: z.string() })

export const tasks = defineService('tasks', {
  /** Running ones and the last hundred that ended. */
  list: call(z.strictObject({})).returns<Task[]>(),
  changed: event<Task>(),
  cancel: call(id).returns<void>(),
  /** Does what failed or was cancelled anew, as another task that takes its place. */
  restart: call(id).returns<TaskStarted>(),
  /** Answers when it has ended, however. */
  wait: call(id).returns<Task>(),
  /** Forgets those that ended. */
  clear: call(z.strictObject({})).returns<void>(),
  cleared: event<{ ids: string[] }>(),
})
