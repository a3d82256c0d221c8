/**
 * The desktop application: the host in the main process, its windows, and what a desktop expects around them. Where a host for the library runs
 * already (a headless one, `coppice serve`), windows are opened onto that instead.
 */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { app, BrowserWindow, dialog, Menu, nativeImage, session, Tray } from 'electron'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { connectLocal } from '../local/connect.ts'
import { libraryId, realLibraryPath } from '../local/runtime-folder.ts'
import { startOwnHost, type OwnHost } from '../own-host.ts'
import { appRoot, cacheFolder, defaultLibrary, rendererFolder, resourcesFolder } from '../paths.ts'
import { readWindowFiles } from '../serve/window-files.ts'
import { settleClose } from './close-guard.ts'
import { setMenu } from './menu.ts'
import { registerScheme, serveScheme } from './protocol.ts'
import { remoteHost, type RemoteHost } from './remote-host.ts'
import { guardApp, guardSession } from './security.ts'
import { openWindow } from './window.ts'
import { acceptWires } from './wire.ts'

const ICON = path.join(resourcesFolder(), 'icons', 'coppice-512.png')

await main().catch((error: unknown) => {
  const known = asAppError(error, 'Starting Coppice')
  dialog.showErrorBox('Coppice could not start', known.message)
  app.exit(1)
})

async function main(): Promise<void> {
  guardApp()
  registerScheme()
  const library = libraryArgument() ?? defaultLibrary()
  // One application for each library: its own profile, and with it its own lock.
  const profile = path.join(cacheFolder(), 'electron', libraryId(await realLibraryPath(library)))
  mkdirSync(profile, { recursive: true })
  app.setPath('userData', profile)
  if (!app.requestSingleInstanceLock()) return app.exit(0)
  await app.whenReady()
  guardSession(session.defaultSession)

  serveScheme(await readWindowFiles(rendererFolder))
  const desktop = new Desktop(profile, await hostFor(library))
  app.on('second-instance', () => desktop.show())
  app.on('activate', () => desktop.show())
  desktop.show()
}

/** `--library DIR`; Electron's and Chromium's own switches are left alone. */
function libraryArgument(): string | undefined {
  const { values } = parseArgs({
    args: process.argv.slice(1),
    options: { library: { type: 'string' } },
    strict: false,
    allowPositionals: true,
  })
  return typeof values.library === 'string' ? path.resolve(values.library) : undefined
}

async function hostFor(library: string): Promise<OwnHost | RemoteHost> {
  try {
    return await startOwnHost({ library, shell: 'electron', allowTerminal: true })
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'already-exists')) throw error
    return remoteHost(await connectLocal(library))
  }
}

/** The windows, and the end. */
class Desktop {
  #profile: string
  #host: OwnHost | RemoteHost
  /** Kept, or it would vanish with the garbage. */
  #tray: Tray | null = null
  #settling = false
  #ending = false

  constructor(profile: string, host: OwnHost | RemoteHost) {
    this.#profile = profile
    this.#host = host
    acceptWires((open, abandon) => {
      if ('host' in host) host.host.server.attach(open(), { kind: 'window' })
      else void host.connect(open, abandon)
    })
    // Without its host a window is of no use.
    if ('host' in host) host.host.onQuit(() => void this.#end())
    else host.onEnd(() => void this.#end())
    setMenu(app.isPackaged, { newWindow: () => void this.#open(), quit: () => void this.quit() })
    // Windows decide about the end, in #close.
    app.on('window-all-closed', () => {})
    app.on('before-quit', (event) => {
      if (this.#ending) return
      event.preventDefault()
      void this.quit()
    })
    process.on('SIGTERM', () => void this.#endSuspended())
    process.on('SIGINT', () => void this.#endSuspended())
  }

  /** Brings the newest window to the front, or opens one. */
  show(): void {
    const window = BrowserWindow.getAllWindows()[0]
    if (!window) return void this.#open()
    if (window.isMinimized()) window.restore()
    window.show()
    window.focus()
  }

  async quit(): Promise<void> {
    const outcome = await this.#settle(BrowserWindow.getFocusedWindow())
    if (outcome === 'end') await this.#end()
    if (outcome === 'background') this.#toBackground()
  }

  async #open(): Promise<void> {
    const window = await openWindow({
      preload: path.join(appRoot, 'out', 'preload', 'preload.cjs'),
      state: path.join(this.#profile, 'window.json'),
      icon: ICON,
    })
    this.#tray?.destroy()
    this.#tray = null
    window.on('close', (event) => {
      if (this.#ending || BrowserWindow.getAllWindows().length > 1) return
      event.preventDefault()
      void this.quit()
    })
  }

  async #settle(parent: BrowserWindow | null): Promise<'end' | 'background' | 'stay'> {
    if (!('host' in this.#host)) return 'end'
    if (this.#settling) return 'stay'
    this.#settling = true
    try {
      return await settleClose(this.#host.host, parent)
    } finally {
      this.#settling = false
    }
  }

  #toBackground(): void {
    for (const window of BrowserWindow.getAllWindows()) window.destroy()
    this.#tray ??= new Tray(nativeImage.createFromPath(ICON).resize({ width: 22, height: 22 }))
    this.#tray.setToolTip('Coppice: machines run in the background')
    this.#tray.setContextMenu(
      Menu.buildFromTemplate([
        { label: 'Open Coppice', click: () => this.show() },
        { label: 'Quit', click: () => void this.quit() },
      ]),
    )
    this.#tray.on('click', () => this.show())
  }

  /** The system wants us gone and nobody is there to ask: machines are kept. */
  async #endSuspended(): Promise<void> {
    if ('host' in this.#host) await this.#host.host.quiesce('suspend').catch(() => {})
    await this.#end()
  }

  async #end(): Promise<void> {
    if (this.#ending) return
    this.#ending = true
    for (const window of BrowserWindow.getAllWindows()) window.destroy()
    if ('host' in this.#host) await this.#host.close()
    else this.#host.dispose()
    app.exit(0)
  }
}
