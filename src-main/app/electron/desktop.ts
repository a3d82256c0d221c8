/** The windows of the application, the tray that stands for them in the background, and the end. */
import path from 'node:path'
import { app, BrowserWindow, Menu, nativeImage, Tray } from 'electron'
import type { OwnHost } from '../own-host.ts'
import { appRoot, resourcesFolder } from '../paths.ts'
import { settleClose, type CloseOutcome } from './close-guard.ts'
import { setMenu } from './menu.ts'
import type { RemoteHost } from './remote-host.ts'
import { openWindow } from './window.ts'
import { acceptWires } from './wire.ts'

const ICON = path.join(resourcesFolder(), 'icons', 'coppice-512.png')
const TRAY_SIZE = 22

export class Desktop {
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
