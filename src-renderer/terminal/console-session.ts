/**
 * One serial port's conversation, apart from any component. Theory of operation: the host keeps each port's output as bytes addressed by
 * their offset since the machine's start (a `life`). The session remembers the offset after the last byte that it handed to its terminal.
 * When somebody looks (`attach`) it opens the port from there; when nobody looks (`detach`) it closes the stream, so that a hidden console
 * costs nothing; when the wire breaks it waits, and goes on from the same offset. So each byte reaches the terminal once and in order, and
 * what the host no longer has is said, never skipped in silence. A new life begins at offset 0 again.
 *
 * Bytes are handed on as they come (never decoded here: a chunk may end inside a character), one chunk at a time, the next one only after
 * the terminal has parsed the last: with the stream's credit this bounds memory however fast the guest writes.
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { Event } from '../../src-shared/base/event.ts'
import { formatBytes } from '../../src-shared/base/units.ts'
import type { ConsoleOpening } from '../../src-shared/api/machines.ts'
import { isActive, type MachineState } from '../../src-shared/model/machine-state.ts'
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import { StreamFollower, type FollowStatus } from '../client/stream-follower.ts'

/** The terminal, as the session needs it. */
export interface ConsoleSink {
  /**
   * Resolves when the bytes are parsed. `replay`: they are older than this opening, so questions in them were answered long ago and must not
   * be answered again into the guest's input.
   */
  write(bytes: Uint8Array, options: { replay: boolean }): Promise<void>
  /** A line of ours between the guest's. */
  note(text: string): void
  /** Leaves whatever mode the guest's last program left behind (mouse reports, alternate screen); the text stays. */
  settle(): void
  /** Empties screen and scrollback. */
  clear(): void
}

/** Opens the port from an offset (null: everything kept). */
export type OpenConsole = (from: number | null, signal: AbortSignal) => Promise<{ opening: ConsoleOpening; stream: ByteStream }>

/** Bytes typed while the port is being opened that are kept for it. */
const MAX_TYPED_AHEAD = 4096

/** States in which a console that has ended begins anew. In the others the host has only what was kept, which is shown already. */
const HAS_LIVE_CONSOLE: readonly MachineState[] = ['running', 'paused']

export class ConsoleSession implements Disposable {
  #open: OpenConsole
  #sink: ConsoleSink
  #follower = new StreamFollower({
    doing: 'Opening the console',
    run: (signal) => this.#run(signal),
    release: () => this.#release(),
  })
  #stream: ByteStream | null = null
  #typedAhead: Uint8Array[] = []
  #life: string | null = null
  #offset = 0
  #wasSuspended = false

  readonly onStatus: Event<FollowStatus> = this.#follower.onStatus

  constructor(open: OpenConsole, sink: ConsoleSink) {
    this.#open = open
    this.#sink = sink
  }

  get status(): FollowStatus {
    return this.#follower.status
  }

  /** Somebody looks. */
  attach(): void {
    if (this.status.kind === 'idle') this.#follower.follow()
  }

  /** Nobody looks any more: the stream is closed, the offset kept. */
  detach(): void {
    this.#follower.leave()
  }

  /** Tells what is known of the machine. A console that had ended goes on when the machine runs again. */
  machineChanged(machine: { state: MachineState; startedAt: string | null }): void {
    const isLive = HAS_LIVE_CONSOLE.includes(machine.state)
    this.#follower.machineIs(`${machine.state} ${machine.startedAt}`, isLive)
    if (!isActive(machine.state)) this.#wasSuspended = machine.state === 'suspended'
    const { kind } = this.status
    if (kind === 'failed' || (kind === 'ended' && isLive)) this.#follower.followIfChanged()
  }

  /** The guest restarted within the same life. */
  rebooted(): void {
    if (this.#life === null) return
    this.#sink.settle()
    this.#sink.note('The machine was reset.')
  }

  /** The wire is back, or somebody asked to try again. */
  reconnect(): void {
    const { kind } = this.status
    if (kind === 'lost' || kind === 'failed') this.#follower.follow()
  }

  /** Types bytes into the guest. Bytes for a port that is not live go nowhere. */
  type(bytes: Uint8Array): void {
    if (this.#stream) this.#stream.write(bytes).catch(() => {})
    else if (this.status.kind === 'opening' && this.#typedAhead.reduce((sum, typed) => sum + typed.length, bytes.length) <= MAX_TYPED_AHEAD)
      this.#typedAhead.push(bytes)
  }

  dispose(): void {
    this.#follower.dispose()
  }

  #release(): void {
    this.#stream = null
    this.#typedAhead = []
  }

  async #run(signal: AbortSignal): Promise<void> {
    const opened = await this.#openFromHere(signal)
    if (!opened) return
    const { opening, stream } = opened
    const close = (): void => stream.close()
    signal.addEventListener('abort', close, { once: true })
    try {
      if (opening.live) {
        this.#stream = stream
        for (const bytes of this.#typedAhead.splice(0)) this.type(bytes)
        this.#follower.set({ kind: 'live' })
      }
      await this.#read(stream, opening.end, signal)
    } finally {
      signal.removeEventListener('abort', close)
      stream.close()
    }
  }

  /** Opens from the remembered offset; where that belongs to another life, from the beginning of this one. */
  async #openFromHere(signal: AbortSignal): Promise<{ opening: ConsoleOpening; stream: ByteStream } | null> {
    const from = this.#life === null ? null : this.#offset
    let opened = await this.#openOnce(from, signal)
    if (opened && from !== null && opened.opening.life !== this.#life) {
      opened.stream.close()
      opened = await this.#openOnce(null, signal)
    }
    if (!opened) return null
    const { opening } = opened
    if (opening.life !== this.#life) {
      if (this.#life !== null) this.#newLife(opening)
      this.#life = opening.life
      this.#offset = 0
    }
    if (opening.start > this.#offset) this.#sink.note(`${formatBytes(opening.start - this.#offset)} of earlier output are no longer kept.`)
    this.#offset = opening.start
    return opened
  }

  async #openOnce(from: number | null, signal: AbortSignal): Promise<{ opening: ConsoleOpening; stream: ByteStream } | null> {
    const opened = await this.#open(from, signal)
    if (!signal.aborted) return opened
    opened.stream.close()
    return null
  }

  #newLife(opening: ConsoleOpening): void {
    if (!opening.live) {
      // What is kept of a machine that is off holds all that the terminal shows, and more.
      this.#sink.clear()
    } else if (!this.#wasSuspended) {
      this.#sink.settle()
      this.#sink.note('The machine was started.')
    }
    // A resumed guest goes on in the middle of what it was doing, and so does its console.
  }

  async #read(stream: ByteStream, replayEnd: number, signal: AbortSignal): Promise<void> {
    for (let bytes = await stream.read(); bytes && !signal.aborted; bytes = await stream.read()) {
      const old = Math.min(bytes.length, Math.max(0, replayEnd - this.#offset))
      this.#offset += bytes.length
      await Promise.all([
        old > 0 ? this.#sink.write(bytes.subarray(0, old), { replay: true }) : null,
        old < bytes.length ? this.#sink.write(bytes.subarray(old), { replay: false }) : null,
      ])
      if (signal.aborted) return
    }
  }
}
