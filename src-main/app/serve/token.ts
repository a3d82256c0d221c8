/**
 * Who may use a served host: whoever was given the address with its token. The first request with the token is answered with a cookie, and the
 * address bar loses the token. The cookie's value is derived from the token, so that neither is written down anywhere on the host.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const TOKEN_BYTES = 32

/** 256 random bits, base64url. */
export function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('base64url')
}

/** The cookie's value for a token. */
export function cookieValue(token: string): string {
  return createHash('sha256').update(`coppice cookie ${token}`).digest('base64url')
}

/** Cookies are shared between all ports of a host name, so each port has its own name. */
export function cookieName(port: number): string {
  return `coppice-${port}`
}

/** Compares secrets in a time that does not depend on where they differ. */
export function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}

/** The value of a cookie in a Cookie header (RFC 6265 section 4.2), or null. */
export function readCookie(header: string | undefined, name: string): string | null {
  for (const pair of (header ?? '').split(';')) {
    const cut = pair.indexOf('=')
    if (cut > 0 && pair.slice(0, cut).trim() === name) return pair.slice(cut + 1).trim()
  }
  return null
}

/** A Set-Cookie header. No `Secure`: the host speaks plain HTTP, on loopback unless the user says otherwise. */
export function setCookie(port: number, token: string): string {
  return `${cookieName(port)}=${cookieValue(token)}; Path=/; HttpOnly; SameSite=Strict`
}
