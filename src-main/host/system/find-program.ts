/** Finding programs that are installed on this computer. Pure but for the look whether a file is there. */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/** The first `name` in PATH; null where there is none. */
export function findProgram(name: string, env: Environment = process.env): string | null {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge', 'microsoft-edge-stable']

/** Chromium, Chrome or Edge, which can show the window without a browser's own buttons. COPPICE_CHROMIUM names another. */
export function findBrowser(env: Environment = process.env, platform: NodeJS.Platform = process.platform): string | null {
  if (env['COPPICE_CHROMIUM']) return env['COPPICE_CHROMIUM']
  if (platform === 'darwin') {
    const names = ['Google Chrome', 'Chromium', 'Microsoft Edge']
    return names.map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`).find((path) => existsSync(path)) ?? null
  }
  if (platform === 'win32') {
    const roots = [env['PROGRAMFILES'], env['PROGRAMFILES(X86)'], env['LOCALAPPDATA']].filter((root) => root !== undefined)
    const ends = ['Google\\Chrome\\Application\\chrome.exe', 'Microsoft\\Edge\\Application\\msedge.exe']
    return roots.flatMap((root) => ends.map((end) => `${root}\\${end}`)).find((path) => existsSync(path)) ?? null
  }
  return BROWSERS.map((name) => findProgram(name, env)).find((path) => path !== null) ?? null
}
