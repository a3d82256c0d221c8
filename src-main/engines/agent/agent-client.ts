/**
 * Asks the agent in a guest. Theory of operation: the channel has one conversation, so calls take turns. Before the first call, and after
 * anything went wrong, both ends are brought in step: `guest-sync-delimited` with a number of our own, and whatever comes before its answer
 * (late answers to calls that were given up, what another host asked for) is thrown away. A guest may answer never, wrongly, without
 * end, or restart in the middle: each call has its time, its bytes, and one under way fails at once when the guest's end closes. While nothing is
 * asked nothing is taken from the guest: one that sends all the time waits.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { DisposableStore } from '../../../src-shared/base/disposable.ts'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { AgentChannel } from '../engine.ts'
import { checkReply, encodeRequest, notAnAnswer, parseReply, type AgentCommand, type AgentReply } from './protocol.ts'
import { MAX_LINE, ReplyLines, SENTINEL } from './reply-lines.ts'

/** ms that an agent gets to answer anything at all. An emulated guest under load may need seconds. */
export const SYNC_TIME = 5_000
/** The same, of one that just opened its port: nobody waits for it. */
export const FIRST_SYNC_TIME = 10_000
/** ms for a call unless its caller knows better. */
export const CALL_TIME = 10_000
/** Bytes of an answer: qemu-guest-agent answers with up to 16 MiB of output and of error output of a command at once, in base64. */
export const MAX_OUTPUT_LINE = 48 * MiB
/** Bytes that a guest may send while one answer is waited for. Late answers come first. */
export const MAX_BYTES = 64 * MiB
/** Numbers that any agent's JSON keeps exactly (busybox's awk counts in doubles). */
const MAX_SYNC_ID = 2 ** 31

interface Waiting {
  /** Of MAX_BYTES. */
  bytesLeft: number
  onLine(line: string | null): void
  fail(error: AppError): void
}

export class AgentClient implements Disposable {
  #channel: AgentChannel
  #lines = new ReplyLines()
  #waiting: Waiting | null = null
  #turns = new Turns()
  #synced = false
  #present = false
  #onPresence = new Emitter<boolean>()
  #store = new DisposableStore()

  /** Whether an agent answered since the guest's end of the channel was opened. */
  readonly onPresence = this.#onPresence.event

  constructor(channel: AgentChannel) {
    this.#channel = channel
    this.#store.add(channel.onOutput((bytes) => this.#onOutput(bytes)))
    this.#store.add(channel.onOpen((open) => this.#onOpen(open)))
    if (channel.open) this.#greet()
  }

  get present(): boolean {
    return this.#present
  }

  /** The machine stood still, or is another one than a moment ago: nothing that was said before counts. */
  outOfStep(): void {
    this.#synced = false
  }

  /**
   * @param time ms for the answer, the turn and the first greeting not counted
   * @throws AppError `unavailable` where no agent is there, `timeout` where it does not answer, `disconnected` where it went away,
   *   `unsupported` with the agent's own words where it cannot, `corrupt` where it answers with anything else
   */
  call<C extends AgentCommand>(command: C, args: Record<string, unknown> = {}, time = CALL_TIME): Promise<AgentReply<C>> {
    return this.#turns.run(async () => {
      await this.#sync(SYNC_TIME)
      return checkReply(command, await this.#ask(encodeRequest(command, args), command, time))
    })
  }

  /**
   * A command that answers only where it fails.
   * @param time ms that the refusal may take; resolves after that, or when the guest's end closes
   */
  tell(command: AgentCommand, args: Record<string, unknown>, time: number): Promise<void> {
    return this.#turns.run(async () => {
      await this.#sync(SYNC_TIME)
      await this.#ask(encodeRequest(command, args), command, time).catch((error: AppError) => {
        if (error.code !== 'timeout' && error.code !== 'disconnected') throw error
      })
    })
  }

  dispose(): void {
    this.#waiting?.fail(gone())
    this.#store.dispose()
    this.#onPresence.dispose()
  }

  async #sync(time: number): Promise<void> {
    if (!this.#channel.open) throw noAgent()
    if (this.#synced) return
    const id = Math.floor(Math.random() * MAX_SYNC_ID)
    const bytes = concatBytes([Uint8Array.of(SENTINEL), utf8(encodeRequest('guest-sync-delimited', { id }))])
    try {
      await this.#exchange(bytes, time, MAX_LINE, (line) => {
        const reply = line === null ? null : parseReply(line)
        return reply !== null && 'value' in reply && reply.value === id ? { done: true } : null
      })
    } catch (error) {
      this.#setPresent(false)
      throw error instanceof AppError && error.code === 'timeout' ? noAgent() : error
    }
    this.#synced = true
    this.#setPresent(true)
  }

  async #ask(request: string, command: string, time: number): Promise<unknown> {
    const limit = command === 'guest-exec-status' ? MAX_OUTPUT_LINE : MAX_LINE
    const reply = await this.#exchange(utf8(request), time, limit, (line) => {
      if (line === null) throw new AppError('corrupt', `The guest’s agent answered “${command}” with far more than belongs to it.`)
      const parsed = parseReply(line)
      if (!parsed) throw notAnAnswer(command)
      return parsed
    })
    if ('error' in reply) throw new AppError('unsupported', `The guest’s agent refused “${command}”: ${reply.error}`)
    return reply.value
  }

  /**
   * @param limit bytes of a line
   * @param accept what a line says; null: not what is waited for. What it throws ends the exchange
   */
  #exchange<T>(bytes: Uint8Array, time: number, limit: number, accept: (line: string | null) => T | null): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#waiting = null
        this.#channel.listen(false)
      }
      const fail = (error: AppError): void => {
        end()
        this.#synced = false
        reject(error)
      }
      const timer = setTimeout(() => fail(silent(time)), time)
      this.#waiting = {
        bytesLeft: MAX_BYTES,
        onLine: (line) => {
          try {
            const accepted = accept(line)
            if (accepted === null) return
            end()
            resolve(accepted)
          } catch (error) {
            fail(asAppError(error))
          }
        },
        fail,
      }
      this.#lines.begin(limit)
      this.#channel.listen(true)
      this.#channel.write(bytes).catch(() => this.#waiting?.fail(gone()))
    })
  }

  #onOutput(bytes: Uint8Array): void {
    if (!this.#waiting) return
    this.#waiting.bytesLeft -= bytes.length
    if (this.#waiting.bytesLeft < 0) return this.#waiting.fail(endless())
    for (const line of this.#lines.push(bytes)) this.#waiting?.onLine(line)
  }

  #onOpen(open: boolean): void {
    this.#synced = false
    this.#setPresent(false)
    this.#waiting?.fail(gone())
    if (open) this.#greet()
  }

  #greet(): void {
    this.#turns.run(() => this.#sync(FIRST_SYNC_TIME)).catch(() => {})
  }

  #setPresent(present: boolean): void {
    if (present === this.#present) return
    this.#present = present
    this.#onPresence.fire(present)
  }
}

/** Also what is said of a guest without the port. */
export function noAgent(): AppError {
  return new AppError(
    'unavailable',
    'No agent answers in the guest. It may still be starting; otherwise install and start qemu-guest-agent in it (Coppice Linux brings its own).',
  )
}

function silent(time: number): AppError {
  return new AppError('timeout', `The guest’s agent did not answer within ${time / 1000} s.`)
}

function endless(): AppError {
  return new AppError('corrupt', 'The guest’s agent sends without end and answers nothing. It was not listened to any further.')
}

function gone(): AppError {
  return new AppError('disconnected', 'The guest’s agent went away before it had answered: the guest restarted, or the agent did.')
}
