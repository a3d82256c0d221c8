/**
 * Starting a machine: it boots, or goes on from its suspended state. Whatever fails on the way ends what was begun, leaves a suspended machine
 * suspended, and says why.
 */
import { lstat, stat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../../src-shared/model/machine.ts'
import { bundlePaths, memoryPlace, refuseLinks } from '../../library/bundle.ts'
import { lockBundle } from '../../library/bundle-lock.ts'
import type { Bundle } from '../../library/identity.ts'
import { asSuspended } from '../../planner/as-built.ts'
import { pathsOf } from '../../planner/plan-files.ts'
import { fileFacts } from '../../planner/probe-files.ts'
import { endReturning, returnPaths } from '../../snapshots/returning.ts'
import { adoptMachine, goOnWithSurvivor, ranOn } from './adopt-machine.ts'
import type { Beginning } from './beginning.ts'
import { engineFor, planStart } from '../machine-plan.ts'
import { deleteUnneededPages } from '../suspend/memory-pages.ts'
import { AT_REST } from '../machine-view.ts'
import type { Session, SessionEnd } from './session.ts'
import { putBackSuspended, removeSuspended, suspendedProblem, takeSuspended } from '../suspend/suspended-state.ts'
import { writtenFiles } from './written-files.ts'

/**
 * Of a machine at rest whose start or resuming is legal. Shows what it does, and why it failed.
 * @throws AppError why it did not start; `cancelled` where it was powered off meanwhile
 */
export async function bootMachine(beginning: Beginning): Promise<void> {
  const { machine, parts } = beginning
  await endOldReturn(beginning)
  const { bundle } = machine
  const { folder } = bundle
  const config = bundle.config!
  const from = bundle.suspended
  machine.setStatus({ ...AT_REST, state: from ? 'resuming' : 'starting' })
  let session: Session | null = null
  let taken = false
  try {
    if (from?.problem) throw from.problem
    if (config.engine !== 'embedded') await parts.engines.whenFound()
    await refuseLinks(writtenFiles(folder))
    const lock = await lockBundle(bundlePaths(folder).lock, `“${bundle.name}”`)
    session = await beginning.open(lock, engineFor(bundle, config, parts.engines.current).engine)
    if (await goOnWithSurvivor(beginning, session)) return
    const plan = await session.race(planStart(machine, config, parts))
    beginning.chose(plan.choice)
    if (!plan.spec) throw AppError.invalid(plan.problems)
    for (const warning of plan.warnings) parts.log.warn('machines', warning.message, { machine: bundle.name, field: warning.path })
    if (from) await checkSuspended(bundle, config)
    const was = from?.record?.spec
    await session.build(
      was ? asSuspended(plan.spec, was) : plan.spec,
      plan.images,
      from ? memoryPlace(folder, bundlePaths(folder).memory) : null,
    )
    // Before the memory is taken: what is killed in between is still suspended.
    await session.noteRunning(bundlePaths(machine.bundle.folder).lock)
    if (from) await takeSuspended(folder)
    taken = from !== null
    await session.race(session.engine.start({ machine: machine.id }))
    taken = false
    // Old memory, of this resume or of one that a crash interrupted: disks have moved on.
    await removeSuspended(folder).catch((error: unknown) => parts.log.warn('machines', 'Old memory stays.', { error }))
    await parts.library.refresh(folder)
    const now = new Date().toISOString()
    machine.setStatus({ state: 'running', startedAt: now, bootedAt: from?.record?.bootedAt ?? machine.status.bootedAt })
    await deleteUnneededPages(folder).catch((error: unknown) => parts.log.warn('machines', 'Pages of old memory stay.', { error }))
  } catch (error) {
    const end = session?.end ?? null
    if (taken) await putBackSuspended(folder).catch(() => {})
    await session?.close(bundlePaths(machine.bundle.folder).lock)
    await parts.library.refresh(folder)
    beginning.leave()
    // What supervised it died: it runs already, or what was begun of it is ended here.
    if (session?.mayRunOn && end?.error && (await adoptMachine(beginning, ranOn(bundle.name, end.error)))) return
    throw startFailed(beginning, error, end, from !== null)
  }
}

/**
 * A host that went back to a snapshot may have ended before it was done.
 * @throws AppError `busy` where another host has the machine, or the system's reason
 */
export async function endOldReturn({ machine, parts: { library } }: Beginning): Promise<void> {
  const { folder, config, name } = machine.bundle
  if (!(await lstat(returnPaths(folder).folder).catch(() => null))) return
  const path = bundlePaths(folder).lock
  const lock = await lockBundle(path, `“${name}”`)
  try {
    if (config) await endReturning(folder, config)
    await library.refresh(folder)
  } finally {
    await lock.release(path)
  }
}

/** Shows why it did not start; suspended machines still are. Gives the error to fail with. */
function startFailed({ machine, parts }: Beginning, error: unknown, end: SessionEnd | null, suspended: boolean): AppError {
  const { name } = machine.bundle
  if (end && !end.error) {
    machine.setStatus({ ...AT_REST })
    return new AppError('cancelled', `“${name}” was powered off before it ran.`)
  }
  const death = end?.error ?? null
  const failure = asAppError(death ?? error, `Starting “${name}”`)
  parts.log.warn('machines', failure.message, { machine: name, error: failure })
  machine.setStatus({ ...AT_REST, state: death && !suspended ? 'crashed' : null, lastError: failure })
  return failure
}

async function checkSuspended({ folder, suspended }: Bundle, config: MachineConfig): Promise<void> {
  const memory = await stat(bundlePaths(folder).memory).catch(() => null)
  const files = await fileFacts(folder, pathsOf(config))
  const problem = suspendedProblem(suspended!.record!, config, files, memory?.size ?? null)
  if (problem) throw problem
}
