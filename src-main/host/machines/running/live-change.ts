/**
 * Hardware of a machine that runs. The engine's is changed first, then the configuration: a host that ends in between leaves a configuration that
 * is true at the next start, and the next host brings it in line with what runs. Whatever fails takes back what was done before it.
 */
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../../src-shared/model/machine.ts'
import { isActive } from '../../../../src-shared/model/machine-state.ts'
import type { Library } from '../../library/library.ts'
import type { Log } from '../../log/log.ts'
import { asRuns } from '../../planner/as-built.ts'
import { liveHardware } from '../../planner/live-hardware.ts'
import { pathsOf, planDrive } from '../../planner/plan-files.ts'
import { imageOf, planLive, type LiveStep } from '../../planner/plan-live.ts'
import { planNic } from '../../planner/plan-machine.ts'
import { fileFacts } from '../../planner/probe-files.ts'
import { Report } from '../../planner/report.ts'
import type { Machine } from '../machine.ts'
import type { Session } from './session.ts'
import { wrongState } from '../wrong-state.ts'

/**
 * @param next its files and limits were checked
 * @param save writes the new configuration
 * @throws AppError `wrong-state` with every field that cannot change now; what the engine says; what `save` throws
 */
export async function changeLive(machine: Machine, next: MachineConfig, save: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const { bundle, state, session } = machine
  if (!session?.spec || (state !== 'running' && state !== 'paused')) throw wrongState('edit', bundle.name, state)
  const { spec: running, leaving } = session
  const files = await fileFacts(bundle.folder, pathsOf(next))
  const drives = next.drives.map((drive) => planDrive(drive, '', { files }, new Report()))
  const nics = next.nics.map((nic) => planNic(nic, next, running.engine))
  const live = liveHardware(running, state, leaving)
  const { steps, problems } = planLive({ before: bundle.config!, next, running, live, drives, nics })
  if (problems) {
    const text = `“${bundle.name}” is ${state}: ${problems.map(({ message }) => message).join(' ')}`
    throw new AppError('wrong-state', text, { subject: bundle.name, fields: problems })
  }
  const done: LiveStep[] = []
  try {
    for (const step of steps) {
      await perform(session, step.change, signal)
      done.unshift(step)
    }
    await save()
  } catch (error) {
    if (!session.end) await takeBack(session, done, machine.log)
    throw error
  }
}

function perform(session: Session, change: LiveStep['change'], signal?: AbortSignal): Promise<void> {
  return session.change(change, imageOf(change, session.spec!), signal)
}

/** What cannot be taken back stays, and the configuration follows it. */
async function takeBack(session: Session, done: readonly LiveStep[], log: Log): Promise<void> {
  for (const { undo } of done) {
    if (!undo) continue
    await perform(session, undo).catch((error: unknown) =>
      log.warn('machines', 'A change of a machine that runs could not be taken back.', { error: asAppError(error) }),
    )
  }
}

/** Brings the configuration in line with what runs, where the guest changed it or a host ended in between. The caller has the machine's turn. */
export async function followHardware(machine: Machine, library: Library): Promise<void> {
  const { bundle, session, state } = machine
  if (!session?.spec || !bundle.config || !isActive(state)) return
  await session.closeEjected()
  const files = await fileFacts(bundle.folder, pathsOf(bundle.config))
  const next = asRuns(bundle.config, session.spec, (path) => files.get(path)?.path ?? path)
  if (next !== bundle.config) await library.writeConfig(bundle.folder, next)
}
