/** Values of `coppice net`, from text. Each throws commander's InvalidArgumentError (exit code 2) with a sentence. */
import { InvalidArgumentError } from 'commander'
import { parseIp } from '../../../../src-shared/model/ip.ts'

/** "10mbit", "512kbit", "1.5gbit", "9600bit", as tc(8) writes them: decimal. @returns bit/s */
export function rateArgument(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:bit(?:\/s)?|bps)$/i.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError(`“${text}” is not a rate. Write it as in 10mbit, 512kbit or 1gbit.`)
  return Math.round(Number(number) * 1000 ** ' kmgt'.indexOf((unit || ' ').toLowerCase()))
}

const MS = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** "50ms", "1.5s", "10m", "2h". @returns ms */
export function timeArgument(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)$/.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError(`“${text}” is not a time. Write it as in 50ms, 60s or 10m.`)
  return Number(number) * MS[unit as keyof typeof MS]
}

/** "1%", "0.5%". */
export function percentArgument(text: string): number {
  const number = /^\d+(\.\d+)?%?$/.test(text) ? parseFloat(text) : NaN
  if (!(number <= 100)) throw new InvalidArgumentError(`“${text}” is not a percentage. Write it as in 1%.`)
  return number
}

/** "8080", ":8080", "127.0.0.1:8080", "[::1]:8080", "web-1:22". What stands before the last colon is empty where there is none. */
export function endpointArgument(text: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]:|(.*):)?(\d{1,5})$/s.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port < 1 || port > 65_535)
    throw new InvalidArgumentError(`“${text}” is not an address and a port. Write it as in 127.0.0.1:8080, [::1]:8080 or web-1:22.`)
  if (bracketed !== undefined && !parseIp(bracketed)) throw new InvalidArgumentError(`“${bracketed}” is no address.`)
  return { host: bracketed ?? plain ?? '', port }
}

/** "web-1:nic0"; null for text that is no card's. */
export function cardArgument(text: string): { machine: string; nic: string } | null {
  const [, machine, nic] = /^(.+):([a-z0-9-]{1,32})$/s.exec(text) ?? []
  return machine === undefined ? null : { machine, nic: nic! }
}
