/** Finding programs that are installed on this computer. Pure but for the look whether a file is there. */
import { existsSync } from 'node:fs'
import { delimiter, join, posix } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/** The first `name` in PATH; null where there is none. */
export function findProgram(name: string, env: Environment = process.env): string | null {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'microsoft-edge', 'microsoft-edge-stable']

/**
 * Where Chromium, Chrome and Edge would be, which can show the window without a browser's own buttons; best first, none of them needs to exist.
 * COPPICE_CHROMIUM names another.
 */
export function browserCandidates(env: Environment, platform: NodeJS.Platform): string[] {
  const given = env['COPPICE_CHROMIUM']
  if (given) return [given]
  if (platform === 'darwin')
    return ['Google Chrome', 'Chromium', 'Microsoft Edge'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`)
  if (platform === 'win32')
    return [env['PROGRAMFILES'], env['PROGRAMFILES(X86)'], env['LOCALAPPDATA']].flatMap((folder) =>
      folder ? [`${folder}\\Google\\Chrome\\Application\\chrome.exe`, `${folder}\\Microsoft\\Edge\\Application\\msedge.exe`] : [],
    )
  const folders = (env['PATH'] ?? '').split(':').filter((folder) => folder !== '')
  return BROWSERS.flatMap((name) => folders.map((folder) => posix.join(folder, name)))
}

/** The installed one, or the one that COPPICE_CHROMIUM names; null where that is nowhere. */
export function findBrowser(env: Environment = process.env, platform: NodeJS.Platform = process.platform): string | null {
  return browserCandidates(env, platform).find((candidate) => existsSync(candidate)) ?? null
}
