/**
 * Whom what a frame uses up counts for: its card, where that is one that is plugged in. All others, whose addresses guests make up (or have machines of their own behind), have one
 * share together: making up cards gets nobody more.
 */
export type CardShare = (mac: number) => number

/** No card has this address. */
export const NO_CARD = 0

/** @param isCard whether it is plugged in */
export function cardShare(isCard: (mac: number) => boolean): CardShare {
  return (mac) => (isCard(mac) ? mac : NO_CARD)
}
