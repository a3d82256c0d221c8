/**
 * A learning switch (IEEE 802.1Q, 8.7 and 8.8, without VLANs and spanning tree): a frame goes to the port where its destination was last seen as a source, and to all others
 * where it was not, or where it is for many. Frames pass while the sender's call lasts, one after the other; none is kept.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { Clock } from '../clock.ts'
import type { Judge } from '../policy/policy.ts'
import type { FrameSink, Plugboard } from '../port.ts'
import { AddressTable } from './address-table.ts'
import { SwitchPort, type Fabric } from './switch-port.ts'

export class Switch implements Plugboard, Fabric, Disposable {
  readonly clock: Clock
  /** Replaced as a whole, so that ports may come and go while a frame passes. */
  #ports: readonly SwitchPort[] = []
  #table = new AddressTable<SwitchPort>()
  /** Null: everything passes. */
  policy: Judge | null = null
  /** The policy wants a frame that passed told of. */
  onLogged: ((from: SwitchPort, to: SwitchPort, frame: Uint8Array) => void) | null = null

  constructor(clock: Clock) {
    this.clock = clock
  }

  get ports(): readonly SwitchPort[] {
    return this.#ports
  }

  plug(id: string, receive: FrameSink): SwitchPort {
    const port = new SwitchPort(id, receive, this)
    this.#ports = [...this.#ports, port]
    return port
  }

  /** The address is this port's alone, while its link is up: frames that others send in its name are dropped. */
  pin(mac: number, id: string): void {
    const port = this.#ports.find((one) => one.id === id)
    if (!port) return
    port.pinned = mac
    if (port.link) this.#table.pin(mac, port)
  }

  isCard(mac: number): boolean {
    return this.#ports.some(({ pinned }) => pinned === mac)
  }

  /** False: there was no room at the one port it is for, or it must not go there. */
  forward(from: SwitchPort, frame: Uint8Array): boolean {
    const now = this.clock.now()
    // Nobody is a group of machines (IEEE 802, 8.2.2).
    if ((frame[6]! & 1) === 1 || !this.#table.learn(frame, 6, from, now)) {
      from.refused('dropped')
      return false
    }
    if ((frame[0]! & 1) === 0) {
      const to = this.#table.find(frame, 0, now)
      if (to === from) return true
      if (to) {
        if (this.#mayPass(from, to, frame)) return to.deliver(frame)
        from.refused('denied')
        return false
      }
    }
    let denied = false
    for (const to of this.#ports) {
      if (to === from) continue
      if (this.#mayPass(from, to, frame)) to.deliver(frame)
      else denied = true
    }
    if (denied) from.refused('denied')
    return true
  }

  linkChanged(port: SwitchPort): void {
    if (!port.link) this.#table.forget(port)
    else if (port.pinned !== null) this.#table.pin(port.pinned, port)
  }

  leave(port: SwitchPort): void {
    this.#table.forget(port)
    this.#ports = this.#ports.filter((one) => one !== port)
  }

  dispose(): void {
    for (const port of this.#ports) port.dispose()
  }

  #mayPass(from: SwitchPort, to: SwitchPort, frame: Uint8Array): boolean {
    if (!this.policy) return true
    const verdict = this.policy(from.id, to.id, frame)
    if (verdict === 'log') this.onLogged?.(from, to, frame)
    return verdict !== 'deny'
  }
}
