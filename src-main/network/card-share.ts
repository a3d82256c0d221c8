/**
 * Tables that guests fill (flows, neighbours, questions that wait) give each card a share, so that none takes all. A frame counts for the card that sent it, where that card is plugged
 * in. All other source addresses have one share together, for a guest can make up as many as it likes. Machines inside of a machine are among them.
 */
import type { Plugboard } from './port.ts'

export type CardShare = (mac: number) => number

/** No card has this address. */
export const NO_CARD = 0

/** @param board where cards are plugged in */
export function cardShare(board: Pick<Plugboard, 'isCard'>): CardShare {
  return (mac) => (board.isCard(mac) ? mac : NO_CARD)
}
