/** Suspending: a task. Whatever fails before the commit leaves the machine as it was, running or paused, and says why. */
import type { TaskStarted } from '../../../../src-shared/api/tasks.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { memoryPlace } from '../../library/bundle.ts'
import type { Bundle } from '../../library/identity.ts'
import type { SuspendRecord } from '../../library/suspend-record.ts'
import type { TaskService } from '../../tasks/task-service.ts'
import type { MachineStatus } from '../machine-view.ts'
import type { Session } from '../running/session.ts'
import { abandonSuspended, beginSuspended, commitSuspended, prepareSuspended } from './suspended-state.ts'

export interface SuspendedMachine {
  readonly bundle: Bundle
  readonly status: Readonly<MachineStatus>
  setStatus(change: Partial<MachineStatus>): void
}

export interface SuspendOutcome {
  /** The state is in the bundle: end the session. */
  suspended(record: SuspendRecord): Promise<void>
  /** The task has ended, however. */
  ended(): void
}

const STEPS = 3

export function suspendTask(tasks: TaskService, machine: SuspendedMachine, session: Session, outcome: SuspendOutcome): TaskStarted {
  const { bundle } = machine
  const before = machine.status.state === 'paused' ? 'paused' : 'running'
  machine.setStatus({ state: 'suspending', health: null, healthDetail: null, lastError: null })
  const started = tasks.start(
    { kind: 'suspend-machine', title: `Suspending “${bundle.name}”`, machine: bundle.id },
    async ({ signal, step, progress }) => {
      let paused = false
      try {
        // Not before this task's id is known to the caller and in the view.
        await Promise.resolve()
        step('Pausing the guest')
        await beginSuspended(bundle.folder, before === 'running')
        if (before === 'running') {
          await session.race(session.engine.prepareSave({ machine: bundle.id }))
          paused = true
          await session.race(session.engine.pause({ machine: bundle.id }))
          if (signal.aborted) throw AppError.cancelled()
        }
        progress(1, STEPS, 'steps')
        step('Writing its memory')
        const record = await prepareSuspended(bundle.folder, bundle.config!, session.spec!, machine.status.bootedAt, (path) =>
          session.race(session.engine.saveMemory({ machine: bundle.id, memory: memoryPlace(bundle.folder, path) })),
        )
        progress(2, STEPS, 'steps')
        if (signal.aborted) throw AppError.cancelled()
        await commitSuspended(bundle.folder)
        step('Closing its disks')
        await outcome.suspended(record)
        progress(STEPS, STEPS, 'steps')
        return { id: bundle.id }
      } catch (error) {
        throw await goOn(machine, session, before, paused, error)
      } finally {
        machine.setStatus({ task: null })
        outcome.ended()
      }
    },
  )
  machine.setStatus({ task: started.task })
  return started
}

/** The machine goes on as it was, where it was `paused` for this. Gives the error to fail with. */
async function goOn(
  machine: SuspendedMachine,
  session: Session,
  before: 'running' | 'paused',
  paused: boolean,
  error: unknown,
): Promise<AppError> {
  const { bundle } = machine
  // Who takes over one that runs on sees by it why it is paused.
  if (!session.mayRunOn) await abandonSuspended(bundle.folder)
  if (session.end) return session.end.error ?? asAppError(error)
  const cause = asAppError(error)
  try {
    if (paused) await session.race(session.engine.resume({ machine: bundle.id }))
  } catch (second) {
    session.finish({ error: asAppError(second, `Going on with “${bundle.name}”`) })
    return cause
  }
  if (cause.code === 'cancelled') {
    machine.setStatus({ state: before })
    return cause
  }
  const sentence = `“${bundle.name}” could not be suspended and ${before === 'running' ? 'goes on running' : 'stays paused'}. ${cause.message}`
  const failure = new AppError(cause.code, sentence, cause.details, cause)
  machine.setStatus({ state: before, lastError: failure })
  return failure
}
