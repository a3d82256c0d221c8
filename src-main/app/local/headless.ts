/** A host with no window, started in the background by whoever needs one. It ends by itself when nobody needs it any more. */
import { machines, tasks } from '../../../src-shared/api/index.ts'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { isActive } from '../../../src-shared/model/machine-state.ts'
import type { RpcServer } from '../../../src-shared/rpc/server.ts'
import { inProcessClient } from '../in-process-client.ts'
import { startOwnHost, type OwnHost } from '../own-host.ts'
import type { Claim } from './claim.ts'
import type { HeadlessReport } from './headless-report.ts'

/** How long a headless host stays with no machine running, no task and no client. COPPICE_IDLE_MS changes it, for tests. */
export const IDLE_MS = 5 * 60 * 1000

/** Runs until it is told to quit, idle, or cut off; then everything is closed. Reports to the process that started it. */
export async function runHeadless(library: string): Promise<void> {
  let own: OwnHost
  try {
    own = await startOwnHost({ library, shell: 'headless', allowTerminal: false })
  } catch (error) {
    const known = asAppError(error, 'Starting the host')
    // Another one was quicker: whoever waits for us finds that one.
    report(known.code === 'already-exists' ? { kind: 'serving' } : { kind: 'failed', error: known.toWire() })
    return
  }
  report({ kind: 'serving' })
  await untilEnded(own)
  await own.close()
}

function report(message: HeadlessReport): void {
  if (!process.connected) return
  // The starter may be gone by now; the host runs on without it.
  process.send?.(message, () => {})
}

/** Resolves when the host has nothing left to do or was told to end; its machines are dealt with then. */
async function untilEnded({ host, claim }: OwnHost): Promise<void> {
  const store = new DisposableStore()
  try {
    await new Promise<void>((resolve) => {
      // Machines' work is kept, whoever sent the signal: a logout, a shutdown of the computer, a person.
      const end = (): void => void host.endUnattended().then(resolve)
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        process.on(signal, end)
        store.defer(() => process.removeListener(signal, end))
      }
      store.add(claim.onLost(end))
      store.add(host.onQuit(() => resolve()))
      const idle = store.add(new IdleWatch(host, claim, idleLimit()))
      store.add(idle.onIdle(() => resolve()))
    })
  } finally {
    store.dispose()
  }
}

function idleLimit(): number {
  const given = Number(process.env['COPPICE_IDLE_MS'])
  return Number.isFinite(given) && given > 0 ? given : IDLE_MS
}

interface Watched {
  readonly server: RpcServer
}

/** Fires once when for `limit` ms there was no client, no active machine and no running task. Driven by events, not by polling. */
export class IdleWatch implements Disposable {
  #limit: number
  #clients: () => number
  #active = new Set<string>()
  #timer: NodeJS.Timeout | null = null
  #onIdle = new Emitter<void>()
  #store = new DisposableStore()

  readonly onIdle: Event<void> = this.#onIdle.event

  constructor(host: Watched, claim: Pick<Claim, 'clients' | 'onClientsChanged'>, limit: number) {
    this.#limit = limit
    this.#clients = () => claim.clients
    const client = this.#store.add(inProcessClient(host.server))
    const set = (key: string, active: boolean): void => {
      if (active) this.#active.add(key)
      else this.#active.delete(key)
      this.#look()
    }
    this.#store.add(
      client.service(machines).changed((change) => {
        if (change.kind === 'removed') set(change.id, false)
        else set(change.machine.id, isActive(change.machine.state))
      }),
    )
    this.#store.add(client.service(tasks).changed((task) => set(task.id, task.state === 'running')))
    this.#store.add(claim.onClientsChanged(() => this.#look()))
    this.#look()
  }

  #look(): void {
    const busy = this.#active.size > 0 || this.#clients() > 0
    if (busy && this.#timer) {
      clearTimeout(this.#timer)
      this.#timer = null
    }
    if (!busy) this.#timer ??= setTimeout(() => this.#onIdle.fire(), this.#limit)
  }

  dispose(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#store.dispose()
    this.#onIdle.dispose()
  }
}
