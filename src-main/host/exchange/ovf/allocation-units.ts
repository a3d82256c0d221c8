/**
 * Units of sizes in OVF descriptors: DSP0004 2.6, annex C.1 (programmatic units: "byte * 2^20", "byte*10^9"), as DSP0243 1.1, sections 8.2
 * and 9.1, use them; and the words of older writers ("MegaBytes", "GB"), which all mean powers of two.
 */

const WORDS: Readonly<Record<string, number>> = {
  ...{ byte: 1, bytes: 1, b: 1 },
  ...{ kilobyte: 2 ** 10, kilobytes: 2 ** 10, kb: 2 ** 10, kib: 2 ** 10, k: 2 ** 10 },
  ...{ megabyte: 2 ** 20, megabytes: 2 ** 20, mb: 2 ** 20, mib: 2 ** 20, m: 2 ** 20 },
  ...{ gigabyte: 2 ** 30, gigabytes: 2 ** 30, gb: 2 ** 30, gib: 2 ** 30, g: 2 ** 30 },
  ...{ terabyte: 2 ** 40, terabytes: 2 ** 40, tb: 2 ** 40, tib: 2 ** 40, t: 2 ** 40 },
}
const MAX_UNIT = 100
const MAX_FACTORS = 4

/** Bytes of one unit; null for what is no unit of bytes, or is more than a double counts exactly. */
export function unitBytes(text: string): number | null {
  if (text.length > MAX_UNIT) return null
  const [word, ...factors] = text.trim().toLowerCase().split('*')
  const name = word!.trim()
  if (!Object.hasOwn(WORDS, name) || factors.length > MAX_FACTORS) return null
  let bytes = WORDS[name]!
  for (const factor of factors) {
    const parts = /^\s*(\d{1,10})\s*(?:\^\s*(\d{1,2}))?\s*$/.exec(factor)
    if (parts === null) return null
    bytes *= Number(parts[1]) ** Number(parts[2] ?? 1)
  }
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null
}

/** @param units null: `usual` bytes each */
export function sizeInBytes(count: number | null, units: string | null, usual: number): number | null {
  const unit = units === null || units.trim() === '' ? usual : unitBytes(units)
  if (count === null || unit === null) return null
  const bytes = count * unit
  return Number.isSafeInteger(bytes) ? bytes : null
}
