/** Windows: placed where they were, shown when they are painted. */
import { BrowserWindow, dialog, nativeTheme, screen, type BrowserWindowConstructorOptions } from 'electron'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { displayUrl, webPreferences, windowUrl } from './security.ts'
import { placeWindow, readWindowState, SMALLEST, writeWindowState } from './window-state.ts'

export interface WindowFilesystem {
  preload: string
  /** Where its place is remembered. */
  state: string
  icon: string
}

/** As surface 0 in the page's tokens, so that the first frame does not flash. */
const BACKGROUND = { light: '#ffffff', dark: '#161815' }

/** A machine's screen alone, beside the windows with the library. */
const DISPLAY = { width: 1040, height: 840, minWidth: 480, minHeight: 360 }

export async function openWindow(files: WindowFilesystem): Promise<BrowserWindow> {
  const state = await readWindowState(files.state)
  const primary = screen.getPrimaryDisplay()
  const areas = [primary, ...screen.getAllDisplays().filter(({ id }) => id !== primary.id)].map(({ workArea }) => workArea)
  const window = makeWindow(files, {
    ...placeWindow(state.bounds, areas),
    minWidth: SMALLEST.width,
    minHeight: SMALLEST.height,
  })
  if (state.maximized) window.maximize()
  window.on('close', () => {
    try {
      writeWindowState(files.state, { bounds: window.getNormalBounds(), maximized: window.isMaximized() })
    } catch {
      // The next window opens in its usual place.
    }
  })
  load(window, windowUrl())
  offerReload(window, windowUrl())
  return window
}

/** A window with the screen of one machine and nothing else. */
export function openDisplayWindow(files: Omit<WindowFilesystem, 'state'>, machine: string): BrowserWindow {
  const window = makeWindow(files, DISPLAY)
  load(window, displayUrl(machine))
  offerReload(window, displayUrl(machine))
  return window
}

function makeWindow(files: Omit<WindowFilesystem, 'state'>, place: BrowserWindowConstructorOptions): BrowserWindow {
  const window = new BrowserWindow({
    ...place,
    show: false,
    title: 'Coppice',
    icon: files.icon,
    backgroundColor: nativeTheme.shouldUseDarkColors ? BACKGROUND.dark : BACKGROUND.light,
    webPreferences: webPreferences(files.preload),
  })
  window.once('ready-to-show', () => window.show())
  return window
}

/** A page whose process died leaves a blank window: it is offered anew. The host and its machines are in another process. */
function offerReload(window: BrowserWindow, url: string): void {
  window.webContents.on('render-process-gone', (_event, { reason }) => {
    if (reason === 'clean-exit' || window.isDestroyed()) return
    const options = {
      type: 'error' as const,
      message: 'This window stopped working',
      detail: `Its process ended (${reason}). Machines that run are not touched by that.`,
      buttons: ['Load it again', 'Close window'],
      defaultId: 0,
      cancelId: 1,
      noLink: true,
    }
    void dialog.showMessageBox(window, options).then(({ response }) => {
      if (window.isDestroyed()) return
      if (response === 0) load(window, url)
      else window.close()
    })
  })
}

function load(window: BrowserWindow, url: string): void {
  window.loadURL(url).catch((error: unknown) => {
    // Closed before it was there: nobody misses it.
    if (window.isDestroyed()) return
    dialog.showErrorBox('Coppice’s window could not be shown', asAppError(error, 'Loading the window').message)
  })
}
