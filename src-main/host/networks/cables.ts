/**
 * The cables of machines' network cards. A guest asks for its addresses anew when its cable was out, and only then; so the cable is pulled for a moment where the card is in another
 * network than its guest believes: it was moved there, or the network became another, or the machine was suspended meanwhile. Of a machine that is paused it stays
 * out until the guest can see it.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { Network } from '../../../src-shared/model/network.ts'
import type { Session } from '../machines/running/session.ts'

/** ms for which a cable is out. Drivers of most cards look at it every two seconds (Linux's e1000); virtio's hears of it at once. */
const REPLUG = { virtio: 1000, others: 3000 } as const

export type CableSession = Pick<Session, 'kind' | 'resumed' | 'cutLink'>

export interface Cable {
  /** By a person or a rule, for as long as they say. */
  cut: boolean
  /** In which network the card is (`placeOf`); absent: its guest hears of that in another way. */
  place?: string
  /** Whether the guest executes. */
  runs: boolean
  isVirtio: boolean
}

interface Card {
  cut: boolean
  /** Where its guest believes to be; null: it was told nothing yet. */
  place: string | null
  /** Out for a moment. */
  pulled: NodeJS.Timeout | 'paused' | null
  /** What the engine was told; null: that is not known. */
  told: boolean | null
}

export class Cables implements Disposable {
  #cards = new WeakMap<CableSession, Map<string, Card>>()
  #timers = new Set<NodeJS.Timeout>()

  /** Brings a card's cable in line. @throws AppError as the session's `cutLink` does */
  async hold(session: CableSession, nic: string, { cut, place, runs, isVirtio }: Cable): Promise<void> {
    const card = this.#cardOf(session, nic)
    card.cut = cut
    if (place !== undefined && place !== card.place) {
      // The guest of a machine that starts asks by itself.
      if (card.place !== null || session.resumed) card.pulled ??= 'paused'
      card.place = place
    }
    await this.#apply(session, nic, card)
    if (card.pulled !== 'paused' || !runs) return
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        card.pulled = null
        // Of a machine that ended meanwhile nothing is to be told.
        this.#apply(session, nic, card).catch(() => {})
      },
      isVirtio ? REPLUG.virtio : REPLUG.others,
    )
    this.#timers.add(timer)
    card.pulled = timer
  }

  /** The card is in no network: its guest sees that, and when it is in one again. */
  left(session: CableSession, nic: string): void {
    this.#cardOf(session, nic).place = null
  }

  dispose(): void {
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #cardOf(session: CableSession, nic: string): Card {
    const cards = this.#cards.get(session) ?? new Map<string, Card>()
    this.#cards.set(session, cards)
    // What an earlier host cut of a machine that was taken over is not known.
    const card = cards.get(nic) ?? { cut: false, place: null, pulled: null, told: session.kind === 'qemu' ? null : false }
    cards.set(nic, card)
    return card
  }

  async #apply(session: CableSession, nic: string, card: Card): Promise<void> {
    const cut = card.cut || card.pulled !== null
    if (card.told === cut) return
    card.told = cut
    try {
      await session.cutLink(nic, cut)
    } catch (error) {
      card.told = null
      throw error
    }
  }
}

/** Tells networks apart as far as guests have learned of them. */
export function placeOf({ name, ipv4, ipv6, mtu, hostInterface }: Network): string {
  return JSON.stringify([name, ipv4, ipv6, mtu, hostInterface])
}
