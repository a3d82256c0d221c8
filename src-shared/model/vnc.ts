/** A machine's screen for any VNC viewer on this computer: what machine.json says of it, and its password, which stands elsewhere. */
import { z } from 'zod'

/** Lower ports are the system's. */
export const VNC_PORTS = { min: 1024, max: 65_535 } as const
/** VNC authentication looks at the first eight bytes of a password (RFC 6143, section 7.2.2). */
export const VNC_PASSWORD = { min: 6, max: 8 } as const

export const vncExportSchema = z.strictObject({
  enabled: z.boolean(),
  /** Of 127.0.0.1; null: any free one. */
  port: z
    .number({ error: 'The port must be a number.' })
    .int('The port must be a whole number.')
    .min(VNC_PORTS.min, `Choose a port from ${VNC_PORTS.min} to ${VNC_PORTS.max}.`)
    .max(VNC_PORTS.max, `Choose a port from ${VNC_PORTS.min} to ${VNC_PORTS.max}.`)
    .nullable(),
})
export type VncExport = z.output<typeof vncExportSchema>

export const NO_VNC_EXPORT: Readonly<VncExport> = { enabled: false, port: null }

/** Its messages never carry the password. */
export const vncPasswordSchema = z
  .string()
  .min(VNC_PASSWORD.min, `A VNC password has at least ${VNC_PASSWORD.min} characters.`)
  .max(VNC_PASSWORD.max, `A VNC password has at most ${VNC_PASSWORD.max} characters: viewers leave out the rest.`)
  .regex(/^[\x21-\x7e]*$/, 'A VNC password has letters, digits and signs of a US keyboard only, and no spaces.')

/** Thirty-two, so that each takes five random bits; none that looks like another. */
const CHARACTERS = 'abcdefghijkmnpqrstuvwxyz23456789'

/** A random password, easily read aloud. */
export function newVncPassword(): string {
  return [...crypto.getRandomValues(new Uint8Array(VNC_PASSWORD.max))].map((byte) => CHARACTERS[byte & 31]).join('')
}
