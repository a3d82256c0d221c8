/** A window: placed where it was, shown when it is painted. */
import { BrowserWindow, dialog, nativeTheme, screen } from 'electron'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { webPreferences, windowUrl } from './security.ts'
import { placeWindow, readWindowState, SMALLEST, writeWindowState } from './window-state.ts'

export interface WindowFilesystem {
  preload: string
  /** Where its place is remembered. */
  state: string
  icon: string
}

/** As surface 0 in the page's tokens, so that the first frame does not flash. */
const BACKGROUND = { light: '#ffffff', dark: '#161815' }

export async function openWindow(files: WindowFilesystem): Promise<BrowserWindow> {
  const state = await readWindowState(files.state)
  const primary = screen.getPrimaryDisplay()
  const areas = [primary, ...screen.getAllDisplays().filter(({ id }) => id !== primary.id)].map(({ workArea }) => workArea)
  const window = new BrowserWindow({
    ...placeWindow(state.bounds, areas),
    minWidth: SMALLEST.width,
    minHeight: SMALLEST.height,
    show: false,
    title: 'Coppice',
    icon: files.icon,
    backgroundColor: nativeTheme.shouldUseDarkColors ? BACKGROUND.dark : BACKGROUND.light,
    webPreferences: webPreferences(files.preload),
  })
  if (state.maximized) window.maximize()
  window.once('ready-to-show', () => window.show())
  window.on('close', () => {
    try {
      writeWindowState(files.state, { bounds: window.getNormalBounds(), maximized: window.isMaximized() })
    } catch {
      // The next window opens in its usual place.
    }
  })
  window.loadURL(windowUrl()).catch((error: unknown) => {
    dialog.showErrorBox('Coppice’s window could not be shown', asAppError(error, 'Loading the window').message)
  })
  return window
}
