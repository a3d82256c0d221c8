/** Sizes in binary units (IEC 80000-13), as the window and the command line write and read them. */
export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const TiB = 1024 * GiB

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** "1.5 GiB". At most one decimal, none at 100 or more. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '—'
  let value = Math.abs(bytes)
  let unit = 0
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 99.95 || Number.isInteger(value) ? 0 : 1
  return `${bytes < 0 ? '-' : ''}${value.toFixed(digits)} ${UNITS[unit]}`
}

/** Bytes from "256M", "1.5 GiB", "512k", "4096". Null where the text is not a size. All suffixes are binary, as QEMU reads them. */
export function parseBytes(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$/i.exec(text)
  if (!match) return null
  const power = ' kmgtp'.indexOf((match[2] || ' ').toLowerCase())
  const bytes = Number(match[1]) * 1024 ** power
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : null
}

/** "3 d 4 h", "2 h 05 min", "1 min 09 s", "12 s". */
export function formatDuration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000))
  const two = (n: number): string => String(n).padStart(2, '0')
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`
}

const SI = ['', 'k', 'M', 'G', 'T'] as const

/** A rate in decimal units: formatCount(12_300_000, 'ips') is "12.3 Mips". */
export function formatCount(value: number, unit: string): string {
  let scaled = value
  let power = 0
  while (Math.abs(scaled) >= 999.5 && power < SI.length - 1) {
    scaled /= 1000
    power++
  }
  const digits = power === 0 || scaled >= 99.5 ? 0 : 1
  return `${scaled.toFixed(digits)} ${SI[power]}${unit}`
}
