/** The windows of the application, the tray that stands for them in the background, and the end. */
import path from 'node:path'
import { app, BrowserWindow, Menu, nativeImage, Tray } from 'electron'
import type { OwnHost } from '../own-host.ts'
import { appRoot, resourcesFolder } from '../paths.ts'
import { settleClose, type CloseOutcome } from './close-guard.ts'
import { setMenu } from './menu.ts'
import type { RemoteHost } from './remote-host.ts'
import { openDisplayWindow, openWindow } from './window.ts'
import { acceptWires } from './wire.ts'

const ICON = path.join(resourcesFolder(), 'icons', 'coppice-512.png')
const WINDOW_FILES = { preload: path.join(appRoot, 'out', 'preload', 'preload.cjs'), icon: ICON }
const TRAY_SIZE = 22
/** Windows with one screen each; a page that asks for more than people can look at is not itself. */
const MAX_DISPLAY_WINDOWS = 32

export class Desktop {
  #profile: string
  #host: OwnHost | RemoteHost
  /** Kept, or it would vanish with the garbage. */
  #tray: Tray | null = null
  /** Windows with a machine's screen alone, by machine. */
  #displays = new Map<string, BrowserWindow>()
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
    // Windows decide about the end, when they close.
    app.on('window-all-closed', () => {})
    app.on('before-quit', (event) => {
      if (this.#ending) return
      event.preventDefault()
      void this.quit()
    })
    process.on('SIGTERM', () => void this.#endSuspended())
    process.on('SIGINT', () => void this.#endSuspended())
  }

  /** Brings the newest window with the library to the front, or opens one. */
  show(): void {
    const displays = new Set(this.#displays.values())
    const window = BrowserWindow.getAllWindows().find((candidate) => !displays.has(candidate))
    if (window) toFront(window)
    else void this.#open()
  }

  async quit(): Promise<void> {
    const outcome = await this.#settle(BrowserWindow.getFocusedWindow())
    if (outcome === 'end') await this.#end()
    if (outcome === 'background') this.#toBackground()
  }

  async #open(): Promise<void> {
    const window = await openWindow({ ...WINDOW_FILES, state: path.join(this.#profile, 'window.json') })
    this.#tray?.destroy()
    this.#tray = null
    this.#askBeforeLast(window)
  }

  /** A window with the screen of this machine and nothing else. */
  showDisplay(machine: string): void {
    const shown = this.#displays.get(machine)
    if (shown) return toFront(shown)
    if (this.#displays.size >= MAX_DISPLAY_WINDOWS) return
    const window = openDisplayWindow(WINDOW_FILES, machine)
    this.#displays.set(machine, window)
    window.on('closed', () => this.#displays.delete(machine))
    this.#askBeforeLast(window)
  }

  /** The window that would be the last to close is kept until it is settled what becomes of the machines. */
  #askBeforeLast(window: BrowserWindow): void {
    window.on('close', (event) => {
      if (this.#ending || BrowserWindow.getAllWindows().length > 1) return
      event.preventDefault()
      void this.quit()
    })
  }

  async #settle(parent: BrowserWindow | null): Promise<CloseOutcome> {
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
    this.#tray ??= new Tray(nativeImage.createFromPath(ICON).resize({ width: TRAY_SIZE, height: TRAY_SIZE }))
    this.#tray.setToolTip('Coppice: machines run in the background')
    this.#tray.setContextMenu(
      Menu.buildFromTemplate([
        { label: 'Open Coppice', click: () => this.show() },
        { label: 'Quit', click: () => void this.quit() },
      ]),
    )
    this.#tray.on('click', () => this.show())
  }

  /** The system wants us gone and nobody is there to ask: machines are kept as far as they can be. */
  async #endSuspended(): Promise<void> {
    if ('host' in this.#host) await this.#host.host.endUnattended()
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

function toFront(window: BrowserWindow): void {
  if (window.isMinimized()) window.restore()
  window.show()
  window.focus()
}
