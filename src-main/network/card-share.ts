/**
 * Whom what a frame uses up counts for: its card, where that is one that is plugged in. All others, whose addresses guests make up (or have machines of their own behind), have one
 * share together: making up cards gets nobody more.
 */
import type { Plugboard } from './port.ts'

export type CardShare = (mac: number) => number

/** No card has this address. */
export const NO_CARD = 0

/** @param board where cards are plugged in */
export function cardShare(board: Pick<Plugboard, 'isCard'>): CardShare {
  return (mac) => (board.isCard(mac) ? mac : NO_CARD)
}
