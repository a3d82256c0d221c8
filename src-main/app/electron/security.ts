/**
 * What the window may do, which is little: it shows our own files and talks to the host through one port. Guests print into it, so it is treated
 * as if it could be taken over: no Node, no other page, no other window, no device, no network.
 */
import { app, shell, type Session, type WebContents, type WebFrameMain, type WebPreferences } from 'electron'

export const SCHEME = 'coppice'
export const WINDOW_ORIGIN = `${SCHEME}://app`
export const WINDOW_URL = `${WINDOW_ORIGIN}/`

/** Longer links are not opened. */
const MAX_LINK = 2048

/** The page that the window shows; in development the address of Vite's server. */
export function windowUrl(): string {
  const development = process.env['ELECTRON_RENDERER_URL']
  return development !== undefined && !app.isPackaged ? development : WINDOW_URL
}

export function webPreferences(preload: string): WebPreferences {
  return {
    preload,
    contextIsolation: true,
    sandbox: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    webviewTag: false,
    navigateOnDragDrop: false,
    spellcheck: false,
    devTools: !app.isPackaged,
  }
}

/** True for the top frame of a window of ours that shows our page. */
export function isWindowFrame(frame: WebFrameMain | null): boolean {
  return frame !== null && frame.parent === null && isWindowUrl(frame.url)
}

function isWindowUrl(url: string): boolean {
  return URL.canParse(url) && originOf(new URL(url)) === originOf(new URL(windowUrl()))
}

/** `URL.origin` is "null" for schemes that the URL standard does not know, like ours. */
function originOf(url: URL): string {
  return `${url.protocol}//${url.host}`
}

/** A link that may be handed to the system's browser: the web, nothing that runs or opens programs. */
export function isWebLink(url: string): boolean {
  return url.length <= MAX_LINK && URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol)
}

/** Every page of the process, however it came to be, is held to its place. */
export function guardContents(contents: WebContents): void {
  contents.on('will-navigate', (event) => event.preventDefault())
  contents.on('will-frame-navigate', (event) => event.preventDefault())
  contents.on('will-redirect', (event) => event.preventDefault())
  contents.on('will-attach-webview', (event) => event.preventDefault())
  contents.setWindowOpenHandler(({ url }) => {
    if (isWebLink(url)) void shell.openExternal(url)
    return { action: 'deny' }
  })
}

/** The console copies and pastes; nothing else is granted, and that to nobody but our page. */
const GRANTED = ['clipboard-read', 'clipboard-sanitized-write']
/** What the page loads: itself, and what it made itself. */
const OWN_SCHEMES = [`${SCHEME}:`, 'blob:', 'data:', 'devtools:']

export function guardSession(session: Session): void {
  session.setPermissionRequestHandler((contents, permission, answer) => {
    answer(GRANTED.includes(permission) && contents !== null && isWindowUrl(contents.getURL()))
  })
  session.setPermissionCheckHandler((_contents, permission, origin) => GRANTED.includes(permission) && isWindowUrl(origin))
  session.setDevicePermissionHandler(() => false)
  session.webRequest.onBeforeRequest((request, answer) => {
    const url = URL.canParse(request.url) ? new URL(request.url) : null
    const development = !app.isPackaged && windowUrl() !== WINDOW_URL && url?.host === new URL(windowUrl()).host
    answer({ cancel: !(url !== null && (OWN_SCHEMES.includes(url.protocol) || development)) })
  })
}

/** Guards all that will be made. Call it before the app is ready. */
export function guardApp(): void {
  app.on('web-contents-created', (_event, contents) => guardContents(contents))
  app.on('session-created', (session) => guardSession(session))
}
