/** A console on standard input and output, from attaching to the end of the session. */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { DisposableStore } from '../../../../src-shared/base/disposable.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'
import { TerminalText } from './terminal-text.ts'
import { UntilMatcher } from './until-matcher.ts'

/** Ctrl-]: leaves the session, as in telnet and virsh. */
const DETACH = 0x1d
/** After standard input ended, a session without --until goes on until the guest has printed nothing for this long. */
export const QUIET_MS = 1000

export interface SessionOptions {
  /** For sentences. */
  machine: string
  stream: ByteStream
  /** Bytes at the stream's beginning that were printed before this session. */
  scrollback: number
  /** Print them too, as plain text: a terminal would answer the questions in them once more, into the guest. */
  showScrollback: boolean
  until: RegExp | null
  /** ms; null: no limit. */
  timeout: number | null
  /** A terminal in raw mode: Ctrl-] detaches, its end of input ends the session. */
  interactive: boolean
  input: Readable
  /** Null: nothing is printed. */
  output: Writable | null
  /**
   * Print plain text instead of the guest's bytes: a terminal that nobody's typing is read from would answer the guest's questions (where is
   * the cursor?) into whatever reads it next.
   */
  plain: boolean
}

export interface SessionEnd {
  why: 'matched' | 'detached' | 'quiet' | 'stopped'
  match: string | null
  /** Plain text of the last that the guest printed in this session. */
  text: string
}

/**
 * Runs until the pattern matches, the person detaches, the machine stops, or the input has ended and all is quiet.
 * @throws AppError `timeout`, or `wrong-state` where the machine stops before the pattern matched
 */
export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const session = new Session(options)
  try {
    return await session.run()
  } finally {
    session.dispose()
  }
}

class Session {
  #options: SessionOptions
  #matcher: UntilMatcher
  /** How bytes are printed where not as they are. */
  #old = new TerminalText()
  #fresh: TerminalText | null
  #skip: number
  #quiet: NodeJS.Timeout | null = null
  #limit: NodeJS.Timeout | null = null
  #inputEnded = false
  #over = false
  #store = new DisposableStore()
  #ended = Promise.withResolvers<SessionEnd>()

  constructor(options: SessionOptions) {
    this.#options = options
    this.#matcher = new UntilMatcher(options.until)
    this.#skip = options.scrollback
    this.#fresh = options.plain ? new TerminalText() : null
  }

  run(): Promise<SessionEnd> {
    const { timeout } = this.#options
    if (timeout !== null) this.#limit = setTimeout(() => this.#fail(this.#late(timeout)), timeout)
    this.#readGuest().catch((error: unknown) => this.#fail(error))
    this.#readInput()
    return this.#ended.promise
  }

  dispose(): void {
    this.#over = true
    if (this.#quiet) clearTimeout(this.#quiet)
    if (this.#limit) clearTimeout(this.#limit)
    this.#store.dispose()
    this.#options.stream.close()
  }

  async #readGuest(): Promise<void> {
    const { stream, showScrollback, until, machine } = this.#options
    for await (const bytes of stream) {
      if (this.#over) return
      const old = bytes.subarray(0, this.#skip)
      const fresh = bytes.subarray(old.length)
      this.#skip -= old.length
      if (old.length > 0) this.#matcher.skip(old)
      if (showScrollback) await this.#print(old, this.#old)
      await this.#print(fresh, this.#fresh)
      if (fresh.length === 0) continue
      const match = this.#matcher.push(fresh)
      if (match !== null) return this.#end('matched', match)
      this.#awaitQuiet()
    }
    if (until)
      throw new AppError('wrong-state', `“${machine}” stopped before it printed a match for ${until.source}.`, {
        technical: this.#matcher.text,
      })
    this.#end('stopped')
  }

  /** Listeners, not iteration: leaving an iteration destroys the stream, and a terminal has yet to be set back. */
  #readInput(): void {
    const { input, interactive } = this.#options
    const onData = (chunk: Buffer): void => {
      // One chunk at a time: what the guest does not take yet stays in the pipe.
      input.pause()
      this.#type(chunk).then(
        () => {
          if (!this.#over) input.resume()
        },
        (error: unknown) => this.#fail(error),
      )
    }
    const onEnd = (): void => {
      if (interactive) return this.#end('detached')
      this.#inputEnded = true
      this.#awaitQuiet()
    }
    // A terminal that went away reads as an error.
    const ends = ['end', 'error'] as const
    input.on('data', onData)
    for (const event of ends) input.on(event, onEnd)
    this.#store.defer(() => {
      input.pause()
      input.off('data', onData)
      for (const event of ends) input.off(event, onEnd)
    })
  }

  async #type(chunk: Buffer): Promise<void> {
    const detach = this.#options.interactive ? chunk.indexOf(DETACH) : -1
    const typed = detach < 0 ? chunk : chunk.subarray(0, detach)
    if (typed.length > 0) await this.#options.stream.write(typed)
    if (detach >= 0) this.#end('detached')
  }

  #awaitQuiet(): void {
    if (!this.#inputEnded || this.#options.until) return
    if (this.#quiet) clearTimeout(this.#quiet)
    this.#quiet = setTimeout(() => this.#end('quiet'), QUIET_MS)
  }

  async #print(bytes: Uint8Array, plain: TerminalText | null): Promise<void> {
    const { output } = this.#options
    const printed = plain ? plain.push(bytes) : bytes
    if (output && printed.length > 0 && !output.write(printed)) await once(output, 'drain')
  }

  #late(timeout: number): AppError {
    const { until, machine } = this.#options
    const seconds = timeout / 1000
    const what = until
      ? `“${machine}” printed no match for ${until.source} within ${seconds} s.`
      : `The session with “${machine}” had not ended after ${seconds} s.`
    return new AppError('timeout', what, { technical: this.#matcher.text })
  }

  #end(why: SessionEnd['why'], match: string | null = null): void {
    this.#ended.resolve({ why, match, text: this.#matcher.text })
  }

  #fail(error: unknown): void {
    this.#ended.reject(error as Error)
  }
}
