import type { MachineChange, MachineView } from '../../../../src-shared/api/machines.ts'
import { nextValue } from '../../../../src-shared/base/event.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { isActive } from '../../../../src-shared/model/machine-state.ts'
import { secondsArgument } from '../arguments.ts'
import { tellsEnd } from '../find-machine.ts'
import type { Services } from '../services.ts'
import type { Define } from './index.ts'

/** How long a guest may take to shut down unless told otherwise. */
const STOP_MS = 60 * 1000

export const defineStop: Define = (program, run) => {
  program
    .command('stop')
    .description('press a machine’s power button and wait until it is off')
    .argument('<name>', 'a machine’s name or id')
    .option('--force', 'pull the plug instead; a suspended machine loses its saved state')
    .option('--timeout <seconds>', `how long the guest may take (default: ${STOP_MS / 1000})`, secondsArgument)
    .action((name: string, options: { force?: boolean; timeout?: number }) =>
      run(async (cli) => {
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        const stopped = options.force ? await pullPlug(host, machine) : await shutDown(host, machine, options.timeout ?? STOP_MS)
        cli.printState(stopped, 'off')
      }),
    )
}

async function pullPlug(host: Services, machine: MachineView): Promise<MachineView> {
  if (machine.state === 'suspended') return host.machines.discardSuspend({ id: machine.id })
  return isActive(machine.state) ? host.machines.powerOff({ id: machine.id }) : machine
}

async function shutDown(host: Services, machine: MachineView, limitMs: number): Promise<MachineView> {
  if (machine.state === 'suspended')
    throw new AppError(
      'wrong-state',
      `“${machine.name}” is suspended. Start it and stop it then, or throw its saved state away with “coppice stop ${machine.name} --force”.`,
    )
  if (!isActive(machine.state)) return machine
  const limit = AbortSignal.timeout(limitMs)
  const change = nextValue<MachineChange>(host.machines.changed, (value) => tellsEnd(value, machine.id), limit)
  // Waited for below; a failing power button must not leave it unheard.
  change.catch(() => {})
  const { id, state } = machine
  // A paused guest cannot hear its power button.
  if (state === 'paused') await host.machines.resume({ id })
  await host.machines.powerButton({ id })
  const ended = await change.catch(() => {
    throw new AppError(
      'timeout',
      `“${machine.name}” did not shut down within ${limitMs / 1000} s. Pull its plug with “coppice stop ${machine.name} --force”.`,
    )
  })
  if (ended.kind === 'removed') throw new AppError('not-found', `“${machine.name}” was removed from the library.`)
  if (ended.machine.lastError) throw AppError.fromWire(ended.machine.lastError)
  return ended.machine
}
