/** What becomes of running machines when their last window goes. */
import { machines, settings } from '../../src-shared/api/index.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { Settings } from '../../src-shared/api/settings.ts'
import { isLegal } from '../../src-shared/model/machine-state.ts'
import type { RpcServer } from '../../src-shared/rpc/server.ts'
import { inProcessClient } from './in-process-client.ts'

export interface EndingHost {
  readonly server: RpcServer
  activeMachines(): MachineView[]
  quiesce(running: 'suspend' | 'powerOff' | 'refuse'): Promise<void>
}

/** How long guests get to shut down after their power button was pressed. ms */
export const SHUTDOWN_LIMIT_MS = 60_000

/**
 * Suspends all machines, or presses their power buttons and waits for them.
 * @returns the machines that run still: guests that did not shut down in time
 * @throws AppError where a machine cannot be suspended; it runs on
 */
export async function endMachines(host: EndingHost, how: 'suspend' | 'shutdown', limitMs = SHUTDOWN_LIMIT_MS): Promise<MachineView[]> {
  if (how === 'suspend') {
    await host.quiesce('suspend')
    return host.activeMachines()
  }
  const client = inProcessClient(host.server)
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    const service = client.service(machines)
    const ended = new Promise<void>((resolve) => {
      const check = (): void => {
        if (host.activeMachines().length === 0) resolve()
      }
      service.changed(check)
      timer = setTimeout(resolve, limitMs)
    })
    for (const machine of host.activeMachines()) {
      if (machine.state === 'paused') await service.resume({ id: machine.id })
      // One that starts or suspends is only waited for.
      if (isLegal('powerButton', machine.state) || machine.state === 'paused') await service.powerButton({ id: machine.id })
    }
    if (host.activeMachines().length > 0) await ended
    return host.activeMachines()
  } finally {
    clearTimeout(timer)
    client.dispose()
  }
}

export async function readSettings(server: RpcServer): Promise<Settings> {
  const client = inProcessClient(server)
  try {
    return await client.service(settings).get({})
  } finally {
    client.dispose()
  }
}

export async function changeSettings(server: RpcServer, change: Partial<Settings>): Promise<void> {
  const client = inProcessClient(server)
  try {
    await client.service(settings).set(change)
  } finally {
    client.dispose()
  }
}

/** "“web-1” runs", "“web-1” and “db-1” run", "“a”, “b” and 3 more run" */
export function whoRuns(running: readonly Pick<MachineView, 'name'>[]): string {
  const names = running.map(({ name }) => `“${name}”`)
  if (names.length === 1) return `${names[0]} runs`
  if (names.length <= 3) return `${names.slice(0, -1).join(', ')} and ${names.at(-1)} run`
  return `${names.slice(0, 2).join(', ')} and ${names.length - 2} more run`
}
