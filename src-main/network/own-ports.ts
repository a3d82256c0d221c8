/**
 * The ports of a network that are no machine's card: its gateway's, its routers' and its uplink. Their own addresses are theirs alone, and what passes them is kept, but for what
 * private machines send and get.
 */
import { formatMac, parseMac, destinationOf, sourceOf } from './codec/ethernet.ts'
import type { Captures } from './capture/captures.ts'
import type { Switch } from './switch/switch.ts'

export interface OwnPort {
  /** Of the switch: `gateway`, `router/NAME`, `uplink`. */
  id: string
  name: string
  /** Null: it has none of its own. */
  mac: number | null
}

export class OwnPorts {
  #network: string
  #lan: Switch
  #captures: Captures
  #kept = new Set<string>()
  #private: ReadonlySet<number> = new Set()

  constructor(network: string, lan: Switch, captures: Captures) {
    this.#network = network
    this.#lan = lan
    this.#captures = captures
  }

  /** As they are now. @param bytes that each of them keeps; 0: nothing */
  set(ports: readonly OwnPort[], bytes: number): void {
    const gone = new Set(this.#kept)
    for (const { id, name, mac } of ports) {
      const port = this.#lan.ports.find((one) => one.id === id)
      if (!port) continue
      if (mac !== null) this.#lan.pin(mac, id)
      const key = `${id}/${this.#network}`
      gone.delete(key)
      this.#kept.add(key)
      this.#captures.put({ port: key, network: this.#network, name, mac: mac === null ? null : formatMac(mac) }, bytes)
      port.tap =
        bytes === 0
          ? null
          : (_, frame, direction) => {
              if (!this.#isPrivate(frame)) this.#captures.see(key, frame, direction)
            }
    }
    for (const key of gone) this.#captures.remove(key)
    for (const key of gone) this.#kept.delete(key)
  }

  /** @param macs cards of machines whose frames are not kept, as text */
  setPrivate(macs: readonly string[]): void {
    this.#private = new Set(macs.map(parseMac))
  }

  #isPrivate(frame: Uint8Array): boolean {
    return this.#private.size > 0 && (this.#private.has(sourceOf(frame)) || this.#private.has(destinationOf(frame)))
  }
}
