/** A machine's card in its network: the link to the card, the switch's port, and what they count. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { isImpaired, type Impairment } from '../../src-shared/model/network.ts'
import { Counters } from '../../src-shared/threads/counters.ts'
import type { Plug, PortState } from '../../src-shared/threads/network-thread.ts'
import type { Clock } from './clock.ts'
import { guarded } from './faults.ts'
import type { FromCard, Link } from './link/link.ts'
import { QemuStream } from './link/qemu-stream.ts'
import { ringLink } from './link/ring-link.ts'
import type { SwitchPort } from './switch/switch-port.ts'
import type { Switch } from './switch/switch.ts'

/** What may change while it is plugged in. */
export interface PortChange {
  impairment?: Impairment | undefined
  cut?: boolean | undefined
  private?: boolean | undefined
}

export class MachinePort implements Disposable {
  readonly port: SwitchPort
  #plug: Plug
  #link: Link

  /** @param onChange the card is there now, or gone. @throws AppError `invalid-input` for a ring that is none */
  constructor(plug: Plug, lan: Switch, clock: Clock, onChange: () => void) {
    this.#plug = plug
    const counters = plug.counters ? new Counters(plug.counters) : null
    this.port = lan.plug(plug.port, (frame) => {
      if (!this.#link.send(frame)) return false
      counters?.add('netReceivedBytes', frame.length)
      return true
    })
    const receive = (frame: Uint8Array): void => {
      if (this.port.link) counters?.add('netSentBytes', frame.length)
      this.port.send(frame)
    }
    try {
      this.#link = openLink(plug.link, guarded(receive), clock, onChange)
    } catch (error) {
      this.port.dispose()
      throw error
    }
    this.set(plug)
  }

  /** As it is now. */
  get plug(): Plug {
    return this.#plug
  }

  /** What is absent stays. */
  set({ impairment, cut, private: isPrivate }: PortChange): void {
    if (isPrivate !== undefined) this.#plug = { ...this.#plug, private: isPrivate }
    if (impairment && (this.port.impaired || isImpaired(impairment))) this.port.impair(impairment)
    if (cut !== undefined) this.port.link = !cut
  }

  state(): Omit<PortState, 'keptBytes'> {
    const { port, network } = this.#plug
    return { port, network, connected: this.#link.connected && this.port.link, ...this.port.counters }
  }

  dispose(): void {
    this.#link.dispose()
    this.port.dispose()
  }
}

function openLink(link: Plug['link'], receive: FromCard, clock: Clock, onChange: () => void): Link {
  switch (link.kind) {
    case 'unix':
      return new QemuStream({ path: link.path }, receive, clock, onChange)
    case 'inet':
      return new QemuStream({ port: link.port }, receive, clock, onChange)
    case 'ring':
      return ringLink(link.ring, receive)
  }
}
