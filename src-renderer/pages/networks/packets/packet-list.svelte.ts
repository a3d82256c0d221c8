/** The packets of one card, network or alert, as they come; the newest few thousand. */
import type { PacketsTarget } from '../../../../src-shared/api/networks.ts'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { asAppError, type WireError } from '../../../../src-shared/errors/app-error.ts'
import type { PacketSummary } from '../../../../src-shared/model/packet.ts'
import type { Host } from '../../../client/host.ts'

const MAX_PACKETS = 5000
/** Packets of one frame's time are shown together. */
const SHOW_EVERY = 100

export class PacketList implements Disposable {
  #host: Host
  #abort: AbortController | null = null
  #waiting: PacketSummary[] = []
  #timer: ReturnType<typeof setTimeout> | null = null

  packets = $state.raw<readonly PacketSummary[]>([])
  /** That came too fast, or are no longer kept. */
  missed = $state(0)
  /** What comes is kept by the host meanwhile, and not shown. */
  paused = $state(false)
  error = $state.raw<WireError | null>(null)

  constructor(host: Host) {
    this.#host = host
  }

  /** Begins anew. */
  async follow(target: PacketsTarget, filter: string): Promise<void> {
    this.stop()
    this.packets = []
    this.missed = 0
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
  }

  clear(): void {
    this.packets = []
    this.missed = 0
  }

  dispose(): void {
    this.stop()
  }

  #take(line: PacketSummary | { missed: number }): void {
    if ('missed' in line) {
      this.missed += line.missed
      return
    }
    if (this.paused) return
    this.#waiting.push(line)
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.packets = [...this.packets, ...this.#waiting].slice(-MAX_PACKETS)
      this.#waiting = []
    }, SHOW_EVERY)
  }
}
