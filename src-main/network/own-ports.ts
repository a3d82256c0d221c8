/**
 * The ports of a network that are no machine's card: its gateway's, its routers' and its uplink. Their own addresses are theirs alone, and what passes them is kept.
 */
import { formatMac } from './codec/ethernet.ts'
import type { Captures } from './capture/captures.ts'
import type { PrivateTraffic } from './private-traffic.ts'
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
  #privates: PrivateTraffic
  #kept = new Set<string>()

  constructor(network: string, lan: Switch, captures: Captures, privates: PrivateTraffic) {
    this.#network = network
    this.#lan = lan
    this.#captures = captures
    this.#privates = privates
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
              if (!this.#privates.covers(this.#network, frame)) this.#captures.see(key, frame, direction)
            }
    }
    for (const key of gone) this.#captures.remove(key)
    for (const key of gone) this.#kept.delete(key)
  }
}
