/** The forwards of a network: which listen, where their connections go, and why one does not listen. Changed one by one, without touching the others. */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import type { AppError, WireError } from '../../../../src-shared/errors/app-error.ts'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import type { ForwardStates, ResolvedForward } from '../nat.ts'
import type { ForwardListener, ForwardParts } from './forward.ts'
import { TcpForward } from './tcp-forward.ts'
import { UdpForward } from './udp-forward.ts'

interface Entry {
  where: string
  listener: ForwardListener
  /** Undefined: not known yet. */
  problem: WireError | null | undefined
}

export class Forwards implements Disposable {
  readonly #parts: ForwardParts
  readonly #entries = new Map<string, Entry>()
  readonly #changed = new Emitter<ForwardStates>()
  readonly onChanged = this.#changed.event

  constructor(parts: ForwardParts) {
    this.#parts = parts
  }

  get states(): ForwardStates {
    return Object.fromEntries([...this.#entries].flatMap(([id, { problem }]) => (problem === undefined ? [] : [[id, problem]])))
  }

  /** One that does not listen is tried again. */
  set(forwards: readonly ResolvedForward[]): void {
    const byId = new Map(forwards.map((forward) => [forward.id, forward]))
    // Those that go, go first: their ports may be wanted.
    for (const [id, entry] of this.#entries) {
      const forward = byId.get(id)
      if (forward && whereOf(forward) === entry.where && !entry.problem) continue
      this.#entries.delete(id)
      entry.listener.dispose()
    }
    for (const forward of forwards) {
      const { guest, guestPort } = forward
      const entry = this.#entries.get(forward.id)
      if (!entry) this.#add(forward)
      else if (guestPort !== entry.listener.target.guestPort || guest?.join() !== entry.listener.target.guest?.join()) {
        entry.listener.target = { guest, guestPort }
        entry.listener.retarget()
      }
    }
    this.#changed.fire(this.states)
  }

  /** A machine's datagram to a port of the gateway. @returns whether a forward's client got it */
  answer(guest: IpAddress, guestPort: number, port: number, payload: Uint8Array): boolean {
    for (const { listener } of this.#entries.values())
      if (listener instanceof UdpForward && listener.answer(guest, guestPort, port, payload)) return true
    return false
  }

  dispose(): void {
    for (const { listener } of this.#entries.values()) listener.dispose()
    this.#entries.clear()
    this.#changed.dispose()
  }

  #add(forward: ResolvedForward): void {
    const { id, protocol, hostAddress, hostPort, guest, guestPort } = forward
    const Listener = protocol === 'tcp' ? TcpForward : UdpForward
    // A turn later: UDP tells while it is made.
    const told = (error: AppError | null): void =>
      queueMicrotask(() => {
        if (this.#entries.get(id) !== entry) return
        entry.problem = error?.toWire() ?? null
        this.#changed.fire(this.states)
      })
    const listener = new Listener(this.#parts, hostAddress, hostPort, { guest, guestPort }, told)
    const entry: Entry = { where: whereOf(forward), listener, problem: undefined }
    this.#entries.set(id, entry)
  }
}

function whereOf({ protocol, hostAddress, hostPort }: ResolvedForward): string {
  return `${protocol} ${hostAddress} ${hostPort}`
}
