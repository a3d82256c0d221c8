/** Data that leaves as names which are asked for: very many long and different ones below one domain. A heuristic: some content networks come close to it. */
import { PROTOCOL } from '../../codec/ip.ts'
import { readName } from '../../services/dns/name.ts'
import type { Detector } from '../seen.ts'
import { WithinWindow } from '../within-window.ts'

const WINDOW = 60_000
const NAMES = 40
/** Characters below the domain. */
const LONG = 24
const DNS = 53
/** RFC 1035, 4.1.1: where the first question begins. */
const QUESTION = 12

export function dnsTunnel(): Detector {
  const names = new WithinWindow(WINDOW, NAMES)
  return ({ now, port, ip, ports, payload }) => {
    if (ip?.protocol !== PROTOCOL.udp || ports?.destination !== DNS || payload.length < QUESTION) return null
    const asked = readName(payload, QUESTION)?.name.toLowerCase()
    if (asked === undefined) return null
    const labels = asked.split('.').filter((label) => label !== '')
    const domain = labels.slice(-2).join('.')
    const below = labels.slice(0, -2).join('.')
    if (below.length < LONG || domain.endsWith('.arpa')) return null
    return names.add(`${port} ${domain}`, below, now)
      ? {
          about: domain,
          message: `{name} asks for very many long names below “${domain}”, as if data left by DNS (${NAMES} within a minute).`,
        }
      : null
  }
}
