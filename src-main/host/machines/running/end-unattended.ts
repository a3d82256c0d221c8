/**
 * Ending what runs where nobody can be asked: the computer shuts down, a service is stopped, a login ends. What can be suspended is. What cannot
 * is asked to shut down; what does not within a while runs on without a host, where that is wished and its engine can; the rest is
 * powered off, because it would end with us anyway. The log says of each that was not suspended what became of it.
 */
import { asAppError } from '../../../../src-shared/errors/app-error.ts'
import { mapLimit } from '../../library/map-limit.ts'
import type { Log } from '../../log/log.ts'
import type { TaskService } from '../../tasks/task-service.ts'
import type { MachineService } from '../machine-service.ts'
import type { Machine } from '../machine.ts'
import { AT_ONCE, suspendWhenPossible } from './quiesce.ts'

/** ms that guests get to shut down: less than a system gives to its services (systemd.service(5): 90 s). */
export const UNATTENDED_SHUTDOWN = 30_000

export interface UnattendedOptions {
  tasks: TaskService
  log: Log
  /** Machines may run on without a host. */
  leave: boolean
  /** ms, for tests. */
  patience?: number
}

/** Resolves when no machine needs this host any more. Never rejects for what a machine does. */
export async function endUnattended(service: MachineService, options: UnattendedOptions): Promise<void> {
  const { tasks, log, leave, patience = UNATTENDED_SHUTDOWN } = options
  await service.known
  const failed: { machine: Machine; why: string }[] = []
  await mapLimit(service.active(), AT_ONCE, async (machine) => {
    await suspendWhenPossible(service, machine, tasks).catch((error: unknown) => failed.push({ machine, why: asAppError(error).message }))
  })
  const limit = AbortSignal.timeout(patience)
  await Promise.all(
    failed.map(async ({ machine, why }) => log.warn('machines', `${why} ${await endOtherwise(service, machine, leave, limit)}`)),
  )
}

/** @returns the sentence of what was done */
async function endOtherwise(service: MachineService, machine: Machine, leave: boolean, limit: AbortSignal): Promise<string> {
  if (await shutsDown(service, machine, limit)) return 'It was shut down instead, because Coppice ends.'
  if (leave && (await machine.leave()))
    return 'It did not shut down, either, and runs on although Coppice ends: the next Coppice goes on with it.'
  await machine.kill()
  return 'It did not shut down, either, and was powered off, because Coppice ends.'
}

async function shutsDown(service: MachineService, machine: Machine, limit: AbortSignal): Promise<boolean> {
  try {
    if (machine.state === 'paused') await machine.resume()
    if (machine.state === 'running') await machine.powerButton()
    while (service.active().includes(machine)) await service.nextChange(machine, limit)
    return true
  } catch {
    return false
  }
}
