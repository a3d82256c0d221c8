/** How RFB connections begin, for all who serve screens (RFC 6143, sections 7.1.1 and 7.1.2). */

export const RFB_VERSION = 'RFB 003.008\n'
/** The security type of screens that are open to whoever can connect. */
export const SECURITY_NONE = 1

/** The last digit of the version that both ends speak. */
export type RfbMinor = 3 | 7 | 8

/**
 * Later versions than 3.8 do not exist; what calls itself so (Apple’s 3.889) is content with 3.8. Odd earlier ones are 3.3.
 * @param bytes what a viewer sent, as many as RFB_VERSION has
 * @returns null where it is no viewer
 */
export function rfbMinor(bytes: Uint8Array): RfbMinor | null {
  const match = /^RFB 003\.(\d{3})\n$/.exec(String.fromCharCode(...bytes))
  if (!match) return null
  const minor = Number(match[1])
  return minor >= 8 ? 8 : minor === 7 ? 7 : 3
}
