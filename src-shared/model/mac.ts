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
