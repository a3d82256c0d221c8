/** What a chart measures: how its figures are written and where its axis has lines. Pure. */
import { formatBytes, formatCount, MiB } from '../../src-shared/base/units.ts'

/** `share`: 0 … 1 as per cent. */
export type Quantity = 'share' | 'bytes' | 'bytesPerSecond' | 'perSecond'

export function formatValue(quantity: Quantity, value: number | null): string {
  if (value === null) return '–'
  switch (quantity) {
    case 'share': {
      const percent = value * 100
      return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`
    }
    case 'bytes':
      return formatBytes(value)
    case 'bytesPerSecond':
      return `${formatBytes(Math.round(value))}/s`
    case 'perSecond':
      return formatCount(value, '/s')
  }
}

/** The same, as short as an axis needs it: "20 M/s" for "20.0 M/s", "0" for nothing. */
export function formatTick(quantity: Quantity, value: number): string {
  return value === 0 ? '0' : formatValue(quantity, value).replace('.0 ', ' ')
}

/** Lines above the zero line. */
const LINES = 4
/** Where nothing happens the axis still has a height. */
const LEAST: Record<Quantity, number> = { share: 1, bytes: 64 * MiB, bytesPerSecond: 4096, perSecond: 1000 }
const DECIMAL = [1, 2, 5]
const BINARY = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

export interface Axis {
  top: number
  /** From 0 to `top`, both included. */
  lines: number[]
}

/**
 * An axis from 0 that holds `max`, with round steps: powers of two of binary units for bytes, 1-2-5 for the rest.
 * @param fixedTop the axis ends there (100 %, the memory of the computer) unless a value is above
 */
export function axisFor(quantity: Quantity, max: number, fixedTop?: number): Axis {
  const least = fixedTop ?? LEAST[quantity]
  const top = Math.max(max, least)
  if (fixedTop !== undefined && top === fixedTop)
    return { top, lines: Array.from({ length: LINES + 1 }, (_, at) => (fixedTop / LINES) * at) }
  const step = stepFor(top / LINES, quantity === 'bytes' || quantity === 'bytesPerSecond')
  const count = Math.ceil(top / step - 1e-9)
  return { top: step * count, lines: Array.from({ length: count + 1 }, (_, at) => step * at) }
}

function stepFor(least: number, binary: boolean): number {
  const base = binary ? 1024 : 10
  const steps = binary ? BINARY : DECIMAL
  const unit = base ** Math.floor(Math.log(least) / Math.log(base))
  const step = steps.find((factor) => factor * unit >= least - 1e-9) ?? base
  return step * unit
}
