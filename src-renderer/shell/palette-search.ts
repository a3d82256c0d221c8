/** Ranking for the command palette: letters in order, best where they begin words. Pure. */

/** Score of a match, 0 for none. Higher is better; a whole match of the beginning is the best. */
export function fuzzyScore(query: string, text: string): number {
  const wanted = query.toLowerCase().replace(/\s+/g, '')
  if (wanted === '') return 1
  const lower = text.toLowerCase()
  const whole = lower.indexOf(query.toLowerCase().trim())
  if (whole === 0) return 1000 - Math.min(text.length, 300)
  if (whole > 0) return (isWordStart(text, whole) ? 600 : 300) - Math.min(whole, 100)
  return Math.max(scattered(wanted, text, lower, true), scattered(wanted, text, lower, false))
}

/**
 * Letters in order: each costs its distance from the one before, word beginnings cost nothing.
 * @param leap prefer a word's beginning over the next place of a letter; it may leap too far, so both ways are tried
 */
function scattered(wanted: string, text: string, lower: string, leap: boolean): number {
  let score = 200
  let from = 0
  for (const letter of wanted) {
    const at = leap ? nextOf(letter, text, lower, from) : lower.indexOf(letter, from)
    if (at < 0) return 0
    score -= isWordStart(text, at) || at === from ? 0 : 5 + Math.min(at - from, 10)
    from = at + 1
  }
  return Math.max(score, 1)
}

/** The next place of a letter: at a word's beginning if there is one, else anywhere. */
function nextOf(letter: string, text: string, lower: string, from: number): number {
  const next = lower.indexOf(letter, from)
  if (next < 0 || next === from) return next
  for (let at = next; at >= 0; at = lower.indexOf(letter, at + 1)) if (isWordStart(text, at)) return at
  return next
}

function isWordStart(text: string, at: number): boolean {
  if (at === 0) return true
  return !/[\p{L}\p{N}]/u.test(text[at - 1]!) || (/\p{Lu}/u.test(text[at]!) && /\p{Ll}/u.test(text[at - 1]!))
}

/** Keywords match by the beginning of a word only, and less well than names. */
function wordScore(query: string, keywords: string): number {
  const wanted = query.trim().toLowerCase()
  return wanted !== '' && keywords.split(' ').some((word) => word.startsWith(wanted)) ? 150 : 0
}

export interface Candidate {
  id: string
  label: string
  keywords?: string
}

/** The matching candidates, best first; among equals the recently used, then their given order. */
export function search<T extends Candidate>(candidates: readonly T[], query: string, recent: readonly string[], most: number): T[] {
  const age = (id: string): number => {
    const at = recent.indexOf(id)
    return at < 0 ? recent.length : at
  }
  return candidates
    .map((item, order) => ({ item, order, score: Math.max(fuzzyScore(query, item.label), wordScore(query, item.keywords ?? '')) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || age(a.item.id) - age(b.item.id) || a.order - b.order)
    .slice(0, most)
    .map(({ item }) => item)
}
