/** The packets of one card, network or alert, as they come; the newest few thousand. */
import type { PacketsTarget } from '../../../../src-shared/api/networks.ts'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { AppError, asAppError, type WireError } from '../../../../src-shared/errors/app-error.ts'
import type { PacketSummary } from '../../../../src-shared/model/packet.ts'
import type { Host } from '../../../client/host.ts'

const MAX_PACKETS = 5000
/** Of those that come while the list is held: what is older than the newest of them would not be listed afterwards, either. */
export const MAX_HELD = MAX_PACKETS
/** The thread of the networks ended, and with it what it kept. */
const ENDED = 'No packets come any more: the networks began anew, or what the packets were of is gone.'
/** Packets of one frame's time are shown together. */
const SHOW_EVERY = 100

export class PacketList implements Disposable {
  #host: Host
  #abort: AbortController | null = null
  #waiting: PacketSummary[] = []
  #collected: PacketSummary[] = []
  #timer: ReturnType<typeof setTimeout> | null = null

  packets = $state.raw<readonly PacketSummary[]>([])
  /** That came too fast, are no longer kept, or came while the list was held and were too many. */
  missed = $state(0)
  /** While true, what comes is collected and not shown. */
  held = $state(false)
  /** How many came since. */
  news = $state(0)
  /** Why nothing comes any more. */
  error = $state.raw<WireError | null>(null)

  constructor(host: Host) {
    this.#host = host
  }

  /** Begins anew. */
  async follow(target: PacketsTarget, filter: string): Promise<void> {
    this.stop()
    this.packets = []
    this.missed = 0
    this.held = false
    this.error = null
    const abort = (this.#abort = new AbortController())
    try {
      const { stream } = await this.#host.networks.packets({ target, filter, kept: true }, { signal: abort.signal })
      abort.signal.addEventListener('abort', () => stream.close(), { once: true })
      if (abort.signal.aborted) return stream.close()
      const decoder = new TextDecoder()
      let rest = ''
      for await (const bytes of stream) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
        rest = lines.pop()!
        for (const line of lines) this.#take(JSON.parse(line) as PacketSummary | { missed: number })
      }
      if (!abort.signal.aborted) throw new AppError('disconnected', ENDED)
    } catch (error) {
      if (!abort.signal.aborted) this.error = asAppError(error, 'Listing the packets').toWire()
    }
  }

  stop(): void {
    this.#abort?.abort()
    this.#abort = null
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#waiting = []
    this.#collected = []
    this.news = 0
  }

  /** Also of what was collected meanwhile. */
  clear(): void {
    this.packets = []
    this.#collected = []
    this.news = 0
    this.missed = 0
  }

  hold(): void {
    this.held = true
  }

  /** Shows what came meanwhile; of too many the newest. */
  release(): void {
    this.held = false
    this.missed += this.news - this.#collected.length
    this.#add(this.#collected)
    this.#collected = []
    this.news = 0
  }

  dispose(): void {
    this.stop()
  }

  #take(line: PacketSummary | { missed: number }): void {
    if ('missed' in line) {
      this.missed += line.missed
      return
    }
    this.#waiting.push(line)
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      const fresh = this.#waiting
      this.#waiting = []
      if (!this.held) return this.#add(fresh)
      this.#collected = [...this.#collected, ...fresh].slice(-MAX_HELD)
      this.news += fresh.length
    }, SHOW_EVERY)
  }

  #add(fresh: readonly PacketSummary[]): void {
    if (fresh.length > 0) this.packets = [...this.packets, ...fresh].slice(-MAX_PACKETS)
  }
}
