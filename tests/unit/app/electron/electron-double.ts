/**
 * A stand-in for Electron's main-process API: the few objects that our shell uses, typed against Electron's own declarations, recording what was set
 * and letting a test play the events. Use: `vi.mock('electron', async () => (await import('./electron-double.ts')).electron)`.
 */
import { EventEmitter } from 'node:events'
import type {
  App,
  BrowserWindow,
  BrowserWindowConstructorOptions,
  Dialog,
  Display,
  HandlerDetails,
  Menu,
  MenuItemConstructorOptions,
  MessageBoxOptions,
  MessageBoxReturnValue,
  MessagePortMain,
  NativeTheme,
  OnBeforeRequestListenerDetails,
  Protocol,
  Rectangle,
  Screen,
  Session,
  Shell,
  Tray,
  WebContents,
  WebFrameMain,
  WindowOpenHandlerResponse,
} from 'electron'

/** What `T` has of the named members; the double implements exactly these. */
type Part<T, K extends keyof T> = Pick<T, K>

class AppDouble extends EventEmitter implements Part<App, 'isPackaged' | 'setPath' | 'requestSingleInstanceLock' | 'whenReady' | 'exit'> {
  isPackaged = true
  exited: number | null = null
  lock = true
  lockAsked = false
  paths: Record<string, string> = {}
  onReady: () => void = () => {}
  setPath = (name: string, path: string): void => {
    this.paths[name] = path
  }
  requestSingleInstanceLock = (): boolean => {
    this.lockAsked = true
    return this.lock
  }
  whenReady = async (): Promise<void> => this.onReady()
  exit = (code = 0): void => {
    this.exited = code
  }
  reset(): void {
    this.removeAllListeners()
    Object.assign(this, { isPackaged: true, exited: null, lock: true, lockAsked: false, paths: {}, onReady: () => {} })
  }
}

/** Like Electron's IpcMain, an EventEmitter; its overloads for built-in channels are of no use here. */
class IpcMainDouble extends EventEmitter {}

class ShellDouble implements Part<Shell, 'openExternal'> {
  opened: string[] = []
  openExternal = (url: string): Promise<void> => {
    this.opened.push(url)
    return Promise.resolve()
  }
}

class ProtocolDouble implements Part<Protocol, 'handle' | 'registerSchemesAsPrivileged'> {
  schemes: Electron.CustomScheme[] = []
  handlers = new Map<string, (request: Request) => Response | Promise<Response>>()
  registerSchemesAsPrivileged = (schemes: Electron.CustomScheme[]): void => void this.schemes.push(...schemes)
  handle = (scheme: string, handler: (request: Request) => Response | Promise<Response>): void => void this.handlers.set(scheme, handler)
}

class DialogDouble implements Part<Dialog, 'showMessageBox' | 'showErrorBox'> {
  errors: [string, string][] = []
  showErrorBox = (title: string, content: string): void => void this.errors.push([title, content])
  shown: MessageBoxOptions[] = []
  /** Answers, in order; a missing one is the cancel button. */
  answers: Partial<MessageBoxReturnValue>[] = []
  showMessageBox = (...args: [MessageBoxOptions] | [Electron.BaseWindow, MessageBoxOptions]): Promise<MessageBoxReturnValue> => {
    const options = args.length === 1 ? args[0] : args[1]
    this.shown.push(options)
    return Promise.resolve({ response: options.cancelId ?? 0, checkboxChecked: false, ...this.answers.shift() })
  }
}

class MenuDouble implements Part<typeof Menu, 'setApplicationMenu'> {
  template: MenuItemConstructorOptions[] | null = null
  buildFromTemplate = (template: MenuItemConstructorOptions[]): Menu => template as unknown as Menu
  setApplicationMenu = (menu: Menu | null): void => {
    this.template = menu as unknown as MenuItemConstructorOptions[] | null
  }
}

class ScreenDouble implements Part<Screen, 'getPrimaryDisplay' | 'getAllDisplays'> {
  displays: Display[] = [{ id: 1, workArea: { x: 0, y: 0, width: 1920, height: 1040 } } as Display]
  getPrimaryDisplay = (): Display => this.displays[0]!
  getAllDisplays = (): Display[] => this.displays
}

export class WebContentsDouble extends EventEmitter implements Part<WebContents, 'setWindowOpenHandler' | 'getURL'> {
  url = 'coppice://app/'
  openHandler: ((details: HandlerDetails) => WindowOpenHandlerResponse) | null = null
  setWindowOpenHandler = (handler: (details: HandlerDetails) => WindowOpenHandlerResponse): void => {
    this.openHandler = handler
  }
  getURL = (): string => this.url
  /** Plays an event that can be prevented. @returns whether it was */
  attempt(event: string): boolean {
    let prevented = false
    this.emit(event, {
      preventDefault: () => {
        prevented = true
      },
    })
    return prevented
  }
}

type RequestHandler = NonNullable<Parameters<Session['setPermissionRequestHandler']>[0]>
type CheckHandler = NonNullable<Parameters<Session['setPermissionCheckHandler']>[0]>
type DeviceHandler = NonNullable<Parameters<Session['setDevicePermissionHandler']>[0]>
type BeforeRequest = (details: OnBeforeRequestListenerDetails, answer: (response: Electron.CallbackResponse) => void) => void

export class SessionDouble implements Part<
  Session,
  'setPermissionRequestHandler' | 'setPermissionCheckHandler' | 'setDevicePermissionHandler'
> {
  request: RequestHandler | null = null
  check: CheckHandler | null = null
  device: DeviceHandler | null = null
  beforeRequest: BeforeRequest | null = null
  setPermissionRequestHandler = (handler: RequestHandler | null): void => void (this.request = handler)
  setPermissionCheckHandler = (handler: CheckHandler | null): void => void (this.check = handler)
  setDevicePermissionHandler = (handler: DeviceHandler | null): void => void (this.device = handler)
  webRequest = {
    onBeforeRequest: (listener: BeforeRequest): void => {
      this.beforeRequest = listener
    },
  }
  asSession(): Session {
    return this as unknown as Session
  }
}

export class MessagePortMainDouble extends EventEmitter implements Part<MessagePortMain, 'postMessage' | 'start' | 'close'> {
  posted: unknown[] = []
  started = false
  closed = false
  postMessage(message: unknown): void {
    this.posted.push(message)
  }
  start(): void {
    this.started = true
  }
  close(): void {
    this.closed = true
    this.emit('close')
  }
}

class TrayDouble extends EventEmitter implements Part<Tray, 'setToolTip' | 'setContextMenu' | 'destroy'> {
  static made: TrayDouble[] = []
  destroyed = false
  constructor() {
    super()
    TrayDouble.made.push(this)
  }
  setToolTip(): void {}
  setContextMenu(): void {}
  destroy(): void {
    this.destroyed = true
  }
}

export class BrowserWindowDouble
  extends EventEmitter
  implements Part<BrowserWindow, 'loadURL' | 'show' | 'maximize' | 'getNormalBounds' | 'isMaximized' | 'isDestroyed'>
{
  static made: BrowserWindowDouble[] = []
  readonly options: BrowserWindowConstructorOptions
  loaded: string | null = null
  shown = false
  maximized = false
  bounds: Rectangle = { x: 40, y: 50, width: 1100, height: 700 }
  constructor(options: BrowserWindowConstructorOptions) {
    super()
    this.options = options
    BrowserWindowDouble.made.push(this)
  }
  loadURL(url: string): Promise<void> {
    this.loaded = url
    return Promise.resolve()
  }
  show(): void {
    this.shown = true
  }
  maximize(): void {
    this.maximized = true
  }
  getNormalBounds(): Rectangle {
    return this.bounds
  }
  isMaximized(): boolean {
    return this.maximized
  }
  isDestroyed(): boolean {
    return this.destroyed
  }
  minimized = false
  focused = false
  destroyed = false
  isMinimized(): boolean {
    return this.minimized
  }
  restore(): void {
    this.minimized = false
  }
  focus(): void {
    this.focused = true
  }
  readonly webContents = new EventEmitter()
  destroy(): void {
    this.destroyed = true
  }
  close(): void {
    if (this.attemptClose() === 'closed') this.destroy()
  }
  /** Closes as a person would. */
  attemptClose(): 'prevented' | 'closed' {
    let prevented = false
    this.emit('close', { preventDefault: () => (prevented = true) })
    return prevented ? 'prevented' : 'closed'
  }
  static getAllWindows(): BrowserWindowDouble[] {
    return BrowserWindowDouble.made.filter(({ destroyed }) => !destroyed)
  }
  static getFocusedWindow(): BrowserWindowDouble | null {
    return BrowserWindowDouble.getAllWindows()[0] ?? null
  }
  static reset(): void {
    BrowserWindowDouble.made = []
  }
}

/** A frame as `event.senderFrame` has it. */
export function frame(url: string, parent: WebFrameMain | null = null): WebFrameMain {
  return { url, parent } as WebFrameMain
}

export const electron = {
  app: new AppDouble(),
  ipcMain: new IpcMainDouble(),
  shell: new ShellDouble(),
  protocol: new ProtocolDouble(),
  dialog: new DialogDouble(),
  Menu: new MenuDouble(),
  screen: new ScreenDouble(),
  nativeTheme: { shouldUseDarkColors: false } as { -readonly [K in 'shouldUseDarkColors']: NativeTheme[K] },
  BrowserWindow: BrowserWindowDouble,
  Tray: TrayDouble,
  nativeImage: { createFromPath: () => ({ resize: () => ({}) }) },
  session: { defaultSession: new SessionDouble() },
}
