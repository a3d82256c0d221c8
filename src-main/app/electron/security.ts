/**
 * What the window may do, which is little: it shows our own files and talks to the host through one port. Guests print into it, so it is treated
 * as if it could be taken over: no Node, no other page, no device, no network, and of other windows one kind alone: a machine's screen, which we open.
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

/** As addresses write it: `#/display/<id>` of our page (the renderer's state/place.ts). */
const DISPLAY_HASH = /^#\/display\/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/

/** The machine whose screen an address of our page shows and nothing else; null for every other address. */
export function displayOf(address: string): string | null {
  if (address.length > MAX_LINK || !isWindowUrl(address)) return null
  const [url, own] = [new URL(address), new URL(windowUrl())]
  if (url.search !== '' || url.username !== '' || url.password !== '' || !['', '/', own.pathname].includes(url.pathname)) return null
  return DISPLAY_HASH.exec(url.hash)?.[1] ?? null
}

/** The address that `displayOf` reads. */
export function displayUrl(machine: string): string {
  const url = new URL(windowUrl())
  url.hash = `#/display/${machine}`
  return url.href
}

/** Opens a window with the screen of this machine. */
export type OpenDisplay = (machine: string) => void

/** Every page of the process, however it came to be, is held to its place. */
export function guardContents(contents: WebContents, openDisplay: OpenDisplay): void {
  contents.on('will-navigate', (event) => event.preventDefault())
  contents.on('will-frame-navigate', (event) => event.preventDefault())
  contents.on('will-redirect', (event) => event.preventDefault())
  contents.on('will-attach-webview', (event) => event.preventDefault())
  contents.setWindowOpenHandler(({ url }) => {
    const machine = displayOf(url)
    // Never as the page would open it: the window is made with our own settings.
    if (machine !== null && isWindowUrl(contents.getURL())) openDisplay(machine)
    else if (isWebLink(url)) void shell.openExternal(url)
    return { action: 'deny' }
  })
}

/**
 * The console copies and pastes; a machine's screen fills the computer's and has its keys and pointer. Nothing else is granted, and that to nobody
 * but our page.
 */
const GRANTED = ['clipboard-read', 'clipboard-sanitized-write', 'fullscreen', 'keyboardLock', 'pointerLock']
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
export function guardApp(openDisplay: OpenDisplay): void {
  app.on('web-contents-created', (_event, contents) => guardContents(contents, openDisplay))
  app.on('session-created', (session) => guardSession(session))
}
