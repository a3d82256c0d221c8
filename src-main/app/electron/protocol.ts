/** coppice://app/: the window's files from the same fixed list, and with the same headers, as in served mode. */
import { protocol } from 'electron'
import { SECURITY_HEADERS } from '../serve/headers.ts'
import type { WindowFiles } from '../serve/window-files.ts'
import { SCHEME, WINDOW_ORIGIN } from './security.ts'

/** Before the app is ready: a scheme with a real origin, so that 'self' in the Content-Security-Policy means it. */
export function registerScheme(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
  ])
}

export function serveScheme(files: WindowFiles): void {
  protocol.handle(SCHEME, (request) => answer(request, files))
}

export function answer(request: Pick<Request, 'url' | 'method'>, files: WindowFiles): Response {
  const refusal = (status: number): Response => new Response(null, { status, headers: SECURITY_HEADERS })
  if (!URL.canParse(request.url)) return refusal(404)
  const url = new URL(request.url)
  if (`${url.protocol}//${url.host}` !== WINDOW_ORIGIN) return refusal(404)
  if (request.method !== 'GET') return refusal(405)
  const file = files.get(url.pathname)
  if (!file) return refusal(404)
  return new Response(file.bytes, { headers: { ...SECURITY_HEADERS, 'Content-Type': file.type } })
}
