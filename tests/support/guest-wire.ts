/** The wire between a NAT and a machine that a test plays: packets pass a turn later, and some are lost, doubled or late where it is told so. */
import { parseIp, writeIp, ipHeaderBytes } from '../../src-main/network/codec/ip.ts'
import type { IncomingPacket, IpOutput, Refusal } from '../../src-main/network/ip-output.ts'

export const GUEST_MAC = 0x5254_0012_3456

/** Percentages of packets. */
export interface Faults {
  loss: number
  duplicate: number
  /** Passed by the packets of one to three turns. */
  late: number
  random: (below: number) => number
}

export class GuestWire implements IpOutput {
  mtu: number
  /** Of the machine. Bytes with the IP header; its own. */
  onPacket: (packet: Uint8Array) => void = () => {}
  onRefusal: (packet: IncomingPacket, why: Refusal) => void = () => {}
  toNat: (packet: IncomingPacket) => void = () => {}
  faults: Faults | null = null
  /** The link takes no more. */
  full = false
  #turns: (() => void)[][] = []
  #running: NodeJS.Immediate | null = null

  constructor(mtu = 1500) {
    this.mtu = mtu
  }

  send(header: Parameters<IpOutput['send']>[0], payload: Uint8Array): boolean {
    if (this.full) return false
    const start = ipHeaderBytes(header.source)
    const packet = new Uint8Array(start + payload.length)
    writeIp(packet, 0, header, payload.length)
    packet.set(payload, start)
    if (packet.length > this.mtu) throw new Error(`A packet of ${packet.length} bytes`)
    this.#pass(() => this.onPacket(packet))
    return true
  }

  refuse(packet: IncomingPacket, why: Refusal): void {
    this.onRefusal(packet, why)
  }

  /** From the machine. */
  put(packet: Uint8Array): void {
    this.#pass(() => {
      const parsed = parseIp(packet)
      if (parsed) this.toNat({ ...parsed, sourceMac: GUEST_MAC })
    })
  }

  dispose(): void {
    if (this.#running) clearImmediate(this.#running)
    this.#turns.length = 0
    this.onPacket = () => {}
    this.toNat = () => {}
  }

  #pass(deliver: () => void): void {
    const faults = this.faults
    const chance = (percent: number): boolean => faults !== null && faults.random(10_000) < percent * 100
    if (chance(faults?.loss ?? 0)) return
    for (let copies = chance(faults?.duplicate ?? 0) ? 2 : 1; copies > 0; copies--) {
      const turn = chance(faults?.late ?? 0) ? 1 + faults!.random(3) : 0
      while (this.#turns.length <= turn) this.#turns.push([])
      this.#turns[turn]!.push(deliver)
    }
    this.#running ??= setImmediate(() => this.#run())
  }

  #run(): void {
    this.#running = null
    const now = this.#turns.shift() ?? []
    for (const deliver of now) deliver()
    if (this.#turns.length > 0) this.#running ??= setImmediate(() => this.#run())
  }
}
