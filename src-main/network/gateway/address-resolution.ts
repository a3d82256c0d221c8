/** ARP of one interface (RFC 826), with the probes and announcements of RFC 5227. */
import { inSubnet, formatIp, sameIp, type IpAddress } from '../../../src-shared/model/ip.ts'
import { ARP, buildArp, parseArp } from '../codec/arp.ts'
import { BROADCAST, ETHERNET_HEADER, formatMac } from '../codec/ethernet.ts'
import type { Clock } from '../clock.ts'
import type { FrameSink } from '../port.ts'
import { IPV4_ANY, isZero } from './addresses.ts'
import type { InterfaceDrops, OwnAddress } from './interface-owner.ts'
import type { Neighbours } from './neighbours.ts'

/** An address is defended no more often (RFC 5227, 1.1). */
export const DEFEND_MS = 10_000
/** Within which a card answers that is asked for its address. */
const ANSWER_MS = 100

export interface AddressResolutionParts {
  mac: number
  clock: Clock
  own: OwnAddress
  neighbours: Neighbours
  drops: InterfaceDrops
  send: FrameSink
  warn: (message: string) => void
}

export class AddressResolution {
  readonly #parts: AddressResolutionParts
  /** Addresses that somebody wants to know of whether they are used. */
  readonly #watched = new Set<{ address: IpAddress; except: number; finish: (used: boolean) => void }>()
  #defended = -Infinity

  constructor(parts: AddressResolutionParts) {
    this.#parts = parts
  }

  /** @param mac null: everybody is asked */
  ask(address: IpAddress, mac: number | null): void {
    this.#send(ARP.request, mac ?? BROADCAST, 0, address)
  }

  /**
   * Whether a card answers for the address, before it is leased (RFC 2131, 2.2): known in a tenth of a second.
   * @param except the card that is to get it, which may have it still
   */
  isUsed(address: IpAddress, except: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (used: boolean): void => {
        timer.dispose()
        this.#watched.delete(watched)
        resolve(used)
      }
      const timer = this.#parts.clock.after(ANSWER_MS, () => finish(false))
      const watched = { address, except, finish }
      this.#watched.add(watched)
      this.ask(address, null)
    })
  }

  announce(): void {
    this.#send(ARP.request, BROADCAST, 0, this.#parts.own.address)
  }

  /** @param sourceMac of the frame */
  receive(frame: Uint8Array, sourceMac: number): void {
    const { own, neighbours, drops } = this.#parts
    const packet = parseArp(frame.subarray(ETHERNET_HEADER))
    if (!packet) {
      drops.malformed++
      return
    }
    const { operation, senderMac, senderIp, targetIp } = packet
    const probe = isZero(senderIp)
    if (senderMac !== sourceMac || !(probe || inSubnet(senderIp, own.subnet))) {
      drops.spoofed++
      return
    }
    if (sameIp(senderIp, own.address)) return this.#conflict(senderMac)
    const forUs = sameIp(targetIp, own.address)
    if (!probe) {
      for (const { address, except, finish } of this.#watched) if (senderMac !== except && sameIp(senderIp, address)) finish(true)
      if (forUs) neighbours.learn(senderIp, senderMac)
      else neighbours.update(senderIp, senderMac)
    }
    if (forUs && operation === ARP.request) this.#send(ARP.reply, senderMac, senderMac, probe ? IPV4_ANY : senderIp)
  }

  /** Another card uses the own address: the neighbours are told who has it. */
  #conflict(mac: number): void {
    const { clock, own, warn } = this.#parts
    if (clock.now() - this.#defended < DEFEND_MS) return
    this.#defended = clock.now()
    warn(`The card ${formatMac(mac)} uses the address ${formatIp(own.address)} as well.`)
    this.announce()
  }

  #send(operation: number, to: number, targetMac: number, targetIp: IpAddress): void {
    const { mac, own, send } = this.#parts
    send(buildArp(to, { operation, senderMac: mac, senderIp: own.address, targetMac, targetIp }))
  }
}
