/** Ending what runs before the host ends. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { mapLimit } from '../../library/map-limit.ts'
import type { TaskService } from '../../tasks/task-service.ts'
import type { MachineService } from '../machine-service.ts'
import type { Machine } from '../machine.ts'

/** Memory states that are written at once: the disk is the limit. */
export const AT_ONCE = 2

/**
 * @param running `suspend` keeps what runs, `powerOff` pulls the plugs, `refuse` fails while anything runs
 * @throws AppError `busy` (refuse), or why the first machine could not be suspended; what could not be goes on running
 */
export async function quiesceMachines(
  service: MachineService,
  tasks: TaskService,
  running: 'suspend' | 'powerOff' | 'refuse',
): Promise<void> {
  await service.known
  const active = service.active()
  if (running === 'refuse' && active.length > 0) {
    const names = active.map(({ bundle }) => `“${bundle.name}”`).join(', ')
    throw new AppError(
      'busy',
      `${active.length === 1 ? 'A machine is' : 'Machines are'} still running: ${names}. Suspend or shut down first.`,
    )
  }
  if (running === 'powerOff') await Promise.all(active.map((machine) => machine.kill()))
  if (running === 'suspend') await mapLimit(active, AT_ONCE, (machine) => suspendWhenPossible(service, machine, tasks))
}

/** @throws AppError why it could not be suspended; it goes on running */
export async function suspendWhenPossible(service: MachineService, machine: Machine, tasks: TaskService): Promise<void> {
  while (service.active().includes(machine)) {
    if (machine.state === 'running' || machine.state === 'paused') {
      const { task } = await machine.suspend()
      const ended = await tasks.whenEnded(task)
      if (ended.state === 'done') return
      throw ended.error ? AppError.fromWire(ended.error) : AppError.cancelled()
    }
    // A guest that was asked to shut down gets the time that it has for that; the others are on their way.
    if (machine.state === 'stopping') await service.nextChange(machine)
    else await machine.settled()
  }
}
