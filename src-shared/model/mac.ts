import { z } from 'zod'

/** A unicast MAC address, lower case, colon-separated. */
export const macSchema = z
  .string()
  .regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/, 'A MAC address is six pairs of hexadecimal digits, as in 52:54:00:12:34:56.')
  .refine((mac) => (parseInt(mac.slice(0, 2), 16) & 1) === 0, 'A network card needs a unicast MAC address: its first pair must be even.')

/** A random locally administered address under QEMU's customary prefix 52:54:00. */
export function randomMac(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(3))
  return ['52', '54', '00', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}

/** The address of a network's gateway: locally administered, never a machine's, and the same for the same name, so that machines find it again after a restart. */
export function gatewayMac(network: string): string {
  return macOf('52:55', network)
}

/** The address that a router has in a network. */
export function routerMac(router: string, network: string): string {
  return macOf('52:56', `${router}/${network}`)
}

function macOf(prefix: string, name: string): string {
  // FNV-1a, 32 bits (RFC 9923).
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  const digits = hash.toString(16).padStart(8, '0')
  return [prefix, ...digits.match(/../g)!].join(':')
}
