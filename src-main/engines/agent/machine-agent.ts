/**
 * What a machine's agent does for the host: tells addresses, sets the clock, shuts the guest down, holds its file systems still, runs commands.
 * A machine whose engine has no channel for it has one of these, too; its every wish is refused with a sentence.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { GuestCommand } from '../../../src-shared/model/guest-command.ts'
import type { GuestInterface } from '../../../src-shared/threads/engine-thread.ts'
import type { AgentChannel } from '../engine.ts'
import { AgentClient, noAgent } from './agent-client.ts'
import { runCommand } from './run-command.ts'

/** ms that an agent gets to say that it lives, before the power button is pressed instead. */
const ALIVE_TIME = 2_000
/** ms that its refusal to shut down may take. */
const REFUSAL_TIME = 1_000
/** ms after which a guest that is still there, though its agent took the request, gets its power button pressed as well. */
const SHUTDOWN_PATIENCE = 15_000
/** ms: our agent waits for a whole second. */
const CLOCK_TIME = 10_000
/** ms: buffers are written out first. */
const FREEZE_TIME = 60_000

const NS_PER_MS = 1_000_000n

export class MachineAgent implements Disposable {
  #client: AgentClient | null
  #patience: NodeJS.Timeout | null = null
  #asked = false
  /** It stood still, and no agent was there to set its clock. */
  #clockIsLate = false
  #listening: Disposable
  readonly onPresence: Event<boolean>

  constructor(channel: AgentChannel | null) {
    this.#client = channel && new AgentClient(channel)
    this.onPresence = this.#client?.onPresence ?? new Emitter<boolean>().event
    this.#listening = this.onPresence((present) => {
      if (present && this.#clockIsLate) void this.#correctClock()
    })
  }

  get present(): boolean {
    return this.#client?.present ?? false
  }

  /** The machine goes on after it stood still: its clock, which may be late by any time, is set where an agent answers. Never rejects. */
  async wentOn(): Promise<void> {
    this.forget()
    this.#client?.outOfStep()
    this.#clockIsLate = true
    await this.#correctClock()
  }

  async #correctClock(): Promise<void> {
    try {
      await this.setTime(Date.now)
      this.#clockIsLate = false
    } catch (error) {
      // One that cannot (Windows without rights, say) is not asked again.
      if (error instanceof AppError && error.code === 'unsupported') this.#clockIsLate = false
    }
  }

  /** @param now ms since 1970, asked when the agent's turn has come */
  async setTime(now: () => number): Promise<void> {
    const agent = this.#agent()
    await agent.call('guest-ping')
    await agent.call('guest-set-time', { time: BigInt(now()) * NS_PER_MS }, CLOCK_TIME)
  }

  async interfaces(): Promise<GuestInterface[]> {
    const found = await this.#agent().call('guest-network-get-interfaces')
    return found.map((one) => ({
      name: one.name,
      mac: one['hardware-address']?.toLowerCase() ?? null,
      addresses: (one['ip-addresses'] ?? []).map((address) => address['ip-address']),
    }))
  }

  /**
   * Asks the guest to shut down: the agent where one answers, else by `button`; also where the agent's way leads nowhere, and at a second
   * request.
   */
  async shutDown(button: () => Promise<void>): Promise<void> {
    const agent = this.#client
    if (!agent?.present || this.#asked) return button()
    this.#asked = true
    try {
      await agent.call('guest-ping', {}, ALIVE_TIME)
      await agent.tell('guest-shutdown', { mode: 'powerdown' }, REFUSAL_TIME)
    } catch {
      return button()
    }
    this.#patience = setTimeout(() => void button().catch(() => {}), SHUTDOWN_PATIENCE)
    this.#patience.unref()
  }

  /** The guest restarted, or goes on: it was not asked to shut down. */
  forget(): void {
    if (this.#patience) clearTimeout(this.#patience)
    this.#patience = null
    this.#asked = false
  }

  /** Nothing is written to any file system until `thaw`, and the agent does nothing else. @returns how many file systems */
  freeze(): Promise<number> {
    return this.#agent().call('guest-fsfreeze-freeze', {}, FREEZE_TIME)
  }

  /** @returns how many file systems were frozen */
  thaw(): Promise<number> {
    return this.#agent().call('guest-fsfreeze-thaw', {}, FREEZE_TIME)
  }

  /** The stream carries exec frames; see runCommand. */
  exec(command: GuestCommand, stream: ByteStream): void {
    void runCommand(this.#agent(), command, stream)
  }

  dispose(): void {
    this.forget()
    this.#listening.dispose()
    this.#client?.dispose()
  }

  #agent(): AgentClient {
    if (!this.#client) throw noAgent()
    return this.#client
  }
}
