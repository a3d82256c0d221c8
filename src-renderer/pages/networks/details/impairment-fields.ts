/** Impairments as people type them. Pure. */
import { impairmentSchema, type Impairment } from '../../../../src-shared/model/network.ts'

export interface ImpairmentFields {
  rate: string
  delay: string
  jitter: string
  loss: string
  duplicate: string
  reorder: string
  corrupt: string
  seed: string
}

/** Empty for what it does not do. */
export function fieldsOf({ rate, seed, ...others }: Impairment): ImpairmentFields {
  const text = (value: number): string => (value === 0 ? '' : String(value))
  return {
    rate: rate === null ? '' : rateText(rate),
    delay: text(others.delay),
    jitter: text(others.jitter),
    loss: text(others.loss),
    duplicate: text(others.duplicate),
    reorder: text(others.reorder),
    corrupt: text(others.corrupt),
    seed: seed === null ? '' : String(seed),
  }
}

/** `impairment` null where a field has a problem, which is a sentence. */
export function impairmentOf(fields: ImpairmentFields): {
  impairment: Impairment | null
  problems: Partial<Record<keyof ImpairmentFields, string>>
} {
  const problems: Partial<Record<keyof ImpairmentFields, string>> = {}
  const values: Record<string, number | null> = {}
  for (const [name, text] of Object.entries(fields) as [keyof ImpairmentFields, string][]) {
    const value = name === 'rate' ? readRate(text) : name === 'seed' && text.trim() === '' ? null : readNumber(text)
    if (value === undefined) problems[name] = name === 'rate' ? 'Write it as in 10M or 64k.' : 'This is no number.'
    else if (name === 'seed' && value !== null && !Number.isInteger(value)) problems.seed = 'A seed is a whole number.'
    else values[name] = value
  }
  if (Object.keys(problems).length > 0) return { impairment: null, problems }
  const parsed = impairmentSchema.safeParse(values)
  if (parsed.success) return { impairment: parsed.data, problems }
  for (const { path, message } of parsed.error.issues) problems[path[0] as keyof ImpairmentFields] ??= message
  return { impairment: null, problems }
}

const POWERS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9 }

/** "10M", "64 kbit/s", "2.5g". Null: no limit. Undefined: none of them. */
function readRate(text: string): number | null | undefined {
  if (text.trim() === '') return null
  const [, number, unit] = /^\s*(\d+(?:[.,]\d+)?)\s*([kmg]?)(?:bit(?:\/s|ps)?|bps)?\s*$/i.exec(text) ?? []
  return number === undefined ? undefined : Math.round(Number(number.replace(',', '.')) * POWERS[unit!.toLowerCase()]!)
}

function readNumber(text: string): number | undefined {
  if (text.trim() === '') return 0
  const value = /^\s*\d+(?:[.,]\d+)?\s*$/.test(text) ? Number(text.replace(',', '.')) : NaN
  return Number.isNaN(value) ? undefined : value
}

function rateText(rate: number): string {
  for (const [unit, power] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (rate >= power && (rate * 100) % power === 0) return `${rate / power}${unit}`
  return String(rate)
}
