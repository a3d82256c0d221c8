/**
 * A switch's plug and what a frame meets on its way through it:
 *
 *   from what is plugged in → counted → tapped → impaired → the switch → [other port] impaired → tapped → counted → what is plugged in there
 *
 * Stages that are not there cost nothing.
 */
import type { Impairment } from '../../../src-shared/model/network.ts'
import type { PortCounters } from '../../../src-shared/threads/network-thread.ts'
import type { Clock } from '../clock.ts'
import { ETHERNET_HEADER } from '../codec/ethernet.ts'
import { MAX_FRAME, type FrameSink, type Port } from '../port.ts'
import { Impairer } from '../shaping/impair.ts'

/** Sees what leaves a machine before anything is done to it, and what reaches it. */
export type Tap = (port: string, frame: Uint8Array, direction: 'in' | 'out') => void

/** The switch, as its ports see it. */
export interface Fabric {
  readonly clock: Clock
  forward(from: SwitchPort, frame: Uint8Array): boolean
  linkChanged(port: SwitchPort): void
  leave(port: SwitchPort): void
}

export class SwitchPort implements Port {
  readonly id: string
  tap: Tap | null = null
  /** Kept by the switch's table. */
  addresses = 0
  /** The address that is this port's alone. */
  pinned: number | null = null
  #fabric: Fabric
  #receive: FrameSink
  #link = true
  #disposed = false
  #out: Impairer | null = null
  #in: Impairer | null = null
  #count = { framesOut: 0, bytesOut: 0, framesIn: 0, bytesIn: 0, dropped: 0, denied: 0 }

  constructor(id: string, receive: FrameSink, fabric: Fabric) {
    this.id = id
    this.#receive = receive
    this.#fabric = fabric
  }

  /** Now; later frames are counted elsewhere. */
  get counters(): PortCounters {
    const dropped = this.#count.dropped + (this.#out?.dropped ?? 0) + (this.#in?.dropped ?? 0)
    return { ...this.#count, dropped, lost: (this.#out?.lost ?? 0) + (this.#in?.lost ?? 0) }
  }

  get link(): boolean {
    return this.#link
  }

  set link(up: boolean) {
    if (up === this.#link) return
    this.#link = up
    this.#fabric.linkChanged(this)
  }

  get impaired(): boolean {
    return this.#out !== null
  }

  /** What the link does to frames from now on, each way. */
  impair(impairment: Impairment): void {
    if (this.#out && this.#in) {
      this.#out.set(impairment)
      this.#in.set(impairment)
      return
    }
    this.#out = new Impairer((frame) => this.#enter(frame), this.#fabric.clock, impairment)
    this.#in = new Impairer((frame) => this.#arrive(frame), this.#fabric.clock, impairment)
  }

  readonly send: FrameSink = (frame) => {
    if (!this.#link || this.#disposed) return false
    if (frame.length < ETHERNET_HEADER || frame.length > MAX_FRAME) {
      this.#count.dropped++
      return false
    }
    this.#count.framesOut++
    this.#count.bytesOut += frame.length
    if (this.tap) this.tap(this.id, frame, 'out')
    return this.#out ? this.#out.send(frame) : this.#enter(frame)
  }

  /** A frame from the switch. */
  deliver(frame: Uint8Array): boolean {
    if (!this.#link) return false
    return this.#in ? this.#in.send(frame) : this.#arrive(frame)
  }

  /** Its frame was refused: by the policy, or by the switch, because it makes no sense. */
  refused(why: 'denied' | 'dropped'): void {
    this.#count[why]++
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#link = false
    this.#out?.dispose()
    this.#in?.dispose()
    this.#fabric.leave(this)
  }

  /** Frames that were under way when the link went down are gone. */
  #enter(frame: Uint8Array): boolean {
    return this.#link && this.#fabric.forward(this, frame)
  }

  #arrive(frame: Uint8Array): boolean {
    if (!this.#link) return false
    if (this.tap) this.tap(this.id, frame, 'in')
    if (!this.#receive(frame)) {
      this.#count.dropped++
      return false
    }
    this.#count.framesIn++
    this.#count.bytesIn += frame.length
    return true
  }
}
