/**
 * Every serial console that was looked at lately, with its terminal: closing a tab and coming back shows what was there. Only the ones on
 * screen have a stream; the longest unseen go when there are more than KEPT_CONSOLES, and come back from what the host keeps.
 */
import type { MachineView } from '../../src-shared/api/machines.ts'
import { DisposableStore, type Disposable } from '../../src-shared/base/disposable.ts'
import { settingsSchema } from '../../src-shared/api/settings.ts'
import type { Host } from '../client/host.ts'
import { ConsoleSession } from './console-session.ts'
import { TerminalCore, type TerminalLook } from './terminal-core.ts'

/** Terminals kept in memory. With 10,000 lines of 100 columns each takes about 12 MB. */
export const KEPT_CONSOLES = 8

export class KeptConsole implements Disposable {
  readonly core: TerminalCore
  readonly session: ConsoleSession
  #store = new DisposableStore()

  constructor(host: Host, id: string, port: number, look: TerminalLook) {
    this.core = this.#store.add(new TerminalCore(look))
    this.session = this.#store.add(new ConsoleSession((from, signal) => host.machines.console({ id, port, from }, { signal }), this.core))
    this.#store.add(this.core.onInput((bytes) => this.session.type(bytes)))
    this.core.listening = false
    this.#store.add(this.session.onStatus(({ kind }) => (this.core.listening = kind === 'live')))
  }

  dispose(): void {
    this.#store.dispose()
  }
}

export class ConsoleShelf implements Disposable {
  #host: Host
  /** By machine and port, longest unseen first. */
  #consoles = new Map<string, KeptConsole>()
  /** By machine: when its guest was last up, to see a reset. */
  #booted = new Map<string, string>()
  #store = new DisposableStore()

  constructor(host: Host) {
    this.#host = host
    this.#store.add(
      host.machines.changed((change) => {
        if (change.kind === 'removed') this.#forget(change.id)
        else this.#machineChanged(change.machine)
      }),
    )
  }

  /** The console of a port, made when it is not on the shelf. */
  take(machine: MachineView, port: number): KeptConsole {
    const key = keyOf(machine.id, port)
    let kept = this.#consoles.get(key)
    this.#consoles.delete(key)
    if (!kept) {
      const { consoleFontSize, scrollbackLines } = settingsSchema.parse({})
      kept = new KeptConsole(this.#host, machine.id, port, { fontSize: consoleFontSize, scrollback: scrollbackLines })
      if (machine.bootedAt !== null) this.#booted.set(machine.id, machine.bootedAt)
    }
    kept.session.machineChanged(machine)
    this.#consoles.set(key, kept)
    this.#makeRoom()
    return kept
  }

  #makeRoom(): void {
    for (const [key, kept] of this.#consoles) {
      if (this.#consoles.size <= KEPT_CONSOLES) return
      if (kept.session.status.kind !== 'idle') continue
      kept.dispose()
      this.#consoles.delete(key)
    }
  }

  #ofMachine(id: string): [string, KeptConsole][] {
    return [...this.#consoles].filter(([key]) => key.startsWith(`${id} `))
  }

  #machineChanged(machine: MachineView): void {
    const consoles = this.#ofMachine(machine.id)
    if (consoles.length === 0) return
    const before = this.#booted.get(machine.id)
    if (machine.bootedAt === null) this.#booted.delete(machine.id)
    else this.#booted.set(machine.id, machine.bootedAt)
    const wasReset = before !== undefined && machine.bootedAt === null && machine.state === 'running'
    for (const [, { session }] of consoles) {
      if (wasReset) session.rebooted()
      session.machineChanged(machine)
    }
  }

  #forget(id: string): void {
    this.#booted.delete(id)
    for (const [key, kept] of this.#ofMachine(id)) {
      kept.dispose()
      this.#consoles.delete(key)
    }
  }

  dispose(): void {
    this.#store.dispose()
    for (const kept of this.#consoles.values()) kept.dispose()
    this.#consoles.clear()
  }
}

function keyOf(id: string, port: number): string {
  return `${id} ${port}`
}
