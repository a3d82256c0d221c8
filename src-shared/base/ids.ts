/** A random identifier (RFC 9562 version 4 UUID). */
export function newId(): string {
  return crypto.randomUUID()
}
