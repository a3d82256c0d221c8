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
import { mountShares, unmountShares } from './guest-shares.ts'
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
/** ms after which file systems are thawed although nobody asked: whoever froze them forgot it, or is gone. Our agent does so by itself, too. */
const FREEZE_PATIENCE = 60_000

const NS_PER_MS = 1_000_000n

export class MachineAgent implements Disposable {
  #client: AgentClient | null
  #patience: NodeJS.Timeout | null = null
  #asked = false
  /** It stood still, and no agent was there to set its clock. */
  #clockIsLate = false
  /** Runs while file systems are frozen for somebody here. */
  #frozen: NodeJS.Timeout | null = null
  /** They may be frozen for nobody: by a host that is gone, or because thawing them failed. */
  #mayBeFrozen: boolean
  /** Its shared folders may be unmounted for a suspend, by us or by a host before. */
  #sharesMayBeAway: boolean
  /** They stay so until the machine has stood still and goes on. */
  #suspending = false
  #puttingRight: Promise<void> | null = null
  #listening: Disposable
  readonly onPresence: Event<boolean>

  /**
   * @param goesOn the machine ran before: what an earlier host was about with it is not known
   * @param unmountsShares that may have been unmounting its shared folders
   */
  constructor(channel: AgentChannel | null, goesOn = false, unmountsShares = false) {
    this.#mayBeFrozen = goesOn
    this.#sharesMayBeAway = goesOn && unmountsShares
    this.#client = channel && new AgentClient(channel)
    this.onPresence = this.#client?.onPresence ?? new Emitter<boolean>().event
    this.#listening = this.onPresence((present) => {
      if (present) void this.#putRight()
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
    this.#suspending = false
    await this.#putRight()
  }

  /** What could not be done when it should have been. An agent whose file systems are frozen does nothing else. Never rejects. */
  #putRight(): Promise<void> {
    return (this.#puttingRight ??= this.#putAllRight().finally(() => (this.#puttingRight = null)))
  }

  async #putAllRight(): Promise<void> {
    if (this.#frozen) return
    try {
      if (this.#mayBeFrozen) await this.#thawStray()
      if (this.#sharesMayBeAway && !this.#suspending) await this.#mountShares()
      // It may stand still again before its clock is set.
      while (this.#clockIsLate) {
        this.#clockIsLate = false
        await this.setTime(Date.now)
      }
    } catch (error) {
      // One that cannot (Windows without rights, say) is not asked again.
      this.#clockIsLate = !(error instanceof AppError && error.code === 'unsupported')
    }
  }

  async #thawStray(): Promise<void> {
    const agent = this.#agent()
    try {
      if ((await agent.call('guest-fsfreeze-status')) === 'frozen') await agent.call('guest-fsfreeze-thaw', {}, FREEZE_TIME)
    } catch (error) {
      // One that cannot freeze has not frozen anything.
      if (!(error instanceof AppError) || error.code !== 'unsupported') throw error
    }
    this.#mayBeFrozen = false
  }

  async #mountShares(): Promise<void> {
    const problems = await mountShares(this.#agent())
    this.#sharesMayBeAway = problems.length > 0
    // Tried again when the machine, or its agent, comes again.
    for (const problem of problems) console.error(problem)
  }

  /**
   * Before the machine stands still for a suspend, where its engine cannot save the memory of a guest that has shared folders mounted. They are
   * mounted again when it goes on, here or under another host. Resolves also where no agent can: then the engine sees what is mounted.
   * @throws AppError why one cannot be unmounted (`busy` where it is in use); all are, or are being, mounted again then
   */
  async unmountShares(): Promise<void> {
    if (!this.#client) return
    await this.#puttingRight
    const before = this.#sharesMayBeAway
    this.#sharesMayBeAway = true
    this.#suspending = true
    try {
      if (!(await unmountShares(this.#client))) this.#sharesMayBeAway = before
    } catch (error) {
      this.#suspending = false
      void this.#putRight()
      throw error
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
      // A guest cannot shut down while its file systems are held.
      if (this.#frozen) await this.thaw()
      await agent.call('guest-ping', {}, ALIVE_TIME)
      await agent.tell('guest-shutdown', { mode: 'powerdown' }, REFUSAL_TIME)
    } catch {
      return button()
    }
    this.#patience = setTimeout(() => void button().catch(() => {}), SHUTDOWN_PATIENCE)
    this.#patience.unref()
  }

  /** The guest restarted: nothing of before counts. */
  restarted(): void {
    this.forget()
    if (this.#frozen) clearTimeout(this.#frozen)
    this.#frozen = null
    this.#mayBeFrozen = false
    this.#sharesMayBeAway = false
    this.#suspending = false
    this.#clockIsLate = false
  }

  /** The guest was not asked to shut down. */
  forget(): void {
    if (this.#patience) clearTimeout(this.#patience)
    this.#patience = null
    this.#asked = false
  }

  /**
   * Nothing is written to any file system until `thaw`, FREEZE_PATIENCE at most, and the agent does nothing else.
   * @returns how many file systems
   * @throws AppError as AgentClient.call; nothing is frozen then
   */
  async freeze(): Promise<number> {
    const agent = this.#agent()
    try {
      const count = await agent.call('guest-fsfreeze-freeze', {}, FREEZE_TIME)
      this.#frozen ??= setTimeout(() => void this.thaw().catch(() => {}), FREEZE_PATIENCE).unref()
      return count
    } catch (error) {
      // It may have frozen some, or all, and not have said so.
      if (!(error instanceof AppError) || error.code !== 'unavailable') {
        this.#mayBeFrozen = true
        await this.#putRight()
      }
      throw error
    }
  }

  /** @returns how many file systems were frozen */
  async thaw(): Promise<number> {
    if (this.#frozen) clearTimeout(this.#frozen)
    this.#frozen = null
    try {
      return await this.#agent().call('guest-fsfreeze-thaw', {}, FREEZE_TIME)
    } catch (error) {
      this.#mayBeFrozen = true
      throw error
    } finally {
      // It may have stood still meanwhile.
      void this.#putRight()
    }
  }

  /** The stream carries exec frames; see runCommand. A guest that goes on is put right first: a program finds its shared folders. */
  exec(command: GuestCommand, stream: ByteStream): void {
    const agent = this.#agent()
    void (this.#puttingRight ?? Promise.resolve()).then(() => runCommand(agent, command, stream))
  }

  dispose(): void {
    this.restarted()
    this.#listening.dispose()
    this.#client?.dispose()
  }

  #agent(): AgentClient {
    if (!this.#client) throw noAgent()
    return this.#client
  }
}
