/**
 * Going on with a machine that runs although the host, or what supervised it, ended without it; and saying so of one that ended with its host.
 * Only QEMU's machines run on: they are processes of their own.
 */
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { bundlePaths } from '../../library/bundle.ts'
import { lockBundle, removeStaleLock } from '../../library/bundle-lock.ts'
import { chooseEngine } from '../../planner/choose-engine.ts'
import type { Beginning } from './beginning.ts'
import { writeCrash } from './crash-log.ts'
import { AT_REST } from '../machine-view.ts'
import type { Session } from './session.ts'
import { abandonSuspended, isToGoOn, removeSuspended } from '../suspend/suspended-state.ts'

/**
 * Takes over, into this session, what runs of its machine.
 * @returns false where nothing runs of it
 */
export async function goOnWithSurvivor(beginning: Beginning, session: Session): Promise<boolean> {
  if (session.kind !== 'qemu') return false
  const { machine, parts } = beginning
  try {
    const { state, startedAt } = await session.adopt(bundlePaths(machine.bundle.folder).logs)
    const { folder, config, suspended } = machine.bundle
    // It runs, whether that can be written or not.
    await session
      .noteRunning(bundlePaths(folder).lock)
      .catch((error: unknown) =>
        parts.log.warn('machines', 'Its lock does not say that it runs.', { machine: machine.bundle.name, error: asAppError(error) }),
      )
    beginning.chose(config && chooseEngine(config, parts.engines.current, 'qemu'))
    // A suspend or a resume that came no further: what runs is the same, and goes on from here. Else it is paused because somebody wished it.
    const goesOn = state === 'paused' && (suspended !== null || (await isToGoOn(folder)))
    // Once it executes, its memory of before is of no use.
    if (suspended) await removeSuspended(folder)
    if (goesOn) await session.race(session.engine.resume({ machine: machine.id }))
    await (goesOn ? removeSuspended(folder) : abandonSuspended(folder))
    await parts.library.refresh(folder)
    const { bootedAt, agent } = machine.status
    machine.setStatus({ ...AT_REST, state: goesOn ? 'running' : state, startedAt, bootedAt, agent })
    beginning.follow()
    return true
  } catch (error) {
    if (session.end || asAppError(error).code !== 'not-found') throw error
    return false
  }
}

/**
 * Looks for what runs of a machine at rest.
 * @param cause why it must be looked for; null at the start of a host
 * @returns whether it runs
 */
export async function adoptMachine(beginning: Beginning, cause: AppError | null): Promise<boolean> {
  const { machine, parts } = beginning
  const { name, folder } = machine.bundle
  let session: Session | null = null
  let failure: AppError | null = null
  try {
    session = await beginning.open(await lockBundle(bundlePaths(folder).lock, `“${name}”`), 'qemu')
    if (await goOnWithSurvivor(beginning, session)) {
      machine.setStatus({ lastError: cause })
      return true
    }
  } catch (error) {
    failure = asAppError(error, `Taking over “${name}”, which still runs,`)
    parts.log.warn('machines', `“${name}” could not be taken over.`, { error: failure })
  }
  await session?.close(bundlePaths(machine.bundle.folder).lock)
  beginning.leave()
  machine.setStatus(failure ? { lastError: failure } : {})
  return false
}

/** Nothing runs of it. Where the host before ended without switching it off, it says so. */
export async function lookForCrash({ machine }: Beginning): Promise<void> {
  const { bundle } = machine
  if (!bundle.config || !(await removeStaleLock(bundlePaths(bundle.folder).lock))) return
  // What it had in memory is safe.
  if (bundle.suspended) return
  const error = endedWithHost(bundle.name)
  await writeCrash(bundle.folder, error)
  machine.setStatus({ ...AT_REST, state: 'crashed', lastError: error })
}

function endedWithHost(name: string): AppError {
  const text = `Coppice ended unexpectedly while “${name}” ran, and the machine with it. Its disks are as the guest last wrote them. Start it again.`
  return new AppError('crashed', text)
}

/** For a machine that was taken over because what supervised it failed. */
export function ranOn(name: string, error: AppError): AppError {
  return new AppError('crashed', `What supervises “${name}” failed and was started again. The machine ran on.`, error.details, error)
}
