/** One card that asks for addresses in the name of very many, until none is left. */
import { PROTOCOL } from '../../codec/ip.ts'
import { DHCP, parseDhcp } from '../../services/dhcp/codec.ts'
import type { Detector } from '../seen.ts'
import { WithinWindow } from '../within-window.ts'

const WINDOW = 60_000
const CARDS = 12
const SERVER = 67

export function dhcpStarvation(): Detector {
  const cards = new WithinWindow(WINDOW, CARDS)
  return ({ now, port, ip, ports, payload }) => {
    if (ip?.protocol !== PROTOCOL.udp || ports?.destination !== SERVER) return null
    const message = parseDhcp(payload)
    if (message?.op !== 'request' || (message.type !== DHCP.discover && message.type !== DHCP.request)) return null
    return cards.add(port, message.chaddr, now)
      ? { about: '', message: `{name} asks for addresses for ${CARDS} cards within a minute: soon none would be left for others.` }
      : null
  }
}
