/** Numbers and words in the text of other products' files. */

/** A whole number from 0, or null for anything else: nothing, a property such as "${ram}", more than a double holds. */
export function countOf(text: string | null | undefined): number | null {
  const trimmed = text?.trim() ?? ''
  if (!/^\d{1,16}$/.test(trimmed)) return null
  const count = Number(trimmed)
  return Number.isSafeInteger(count) ? count : null
}

/** "TRUE", "true", "1", "yes". */
export function isTrue(text: string | null | undefined): boolean {
  return /^\s*(true|1|yes)\s*$/i.test(text ?? '')
}

/** A MAC address as Coppice writes it, from "08002712AB34", "00:0C:29:…" or "00-0c-…"; null for what is none or is multicast. */
export function macOf(text: string | null | undefined): string | null {
  const digits = (text ?? '').trim().replace(/[:.-]/g, '').toLowerCase()
  if (!/^[0-9a-f]{12}$/.test(digits) || (parseInt(digits.slice(0, 2), 16) & 1) === 1 || /^0+$/.test(digits)) return null
  return digits.match(/../g)!.join(':')
}
