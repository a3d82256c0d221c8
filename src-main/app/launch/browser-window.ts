/** The window without Electron: a Chromium that is installed, without its own buttons and with a profile of its own. */
import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'

type Environment = Readonly<Record<string, string | undefined>>

/** A reason why no window can open here, as a sentence; null: one can. Windows and macOS always have a screen. */
export function displayProblem(env: Environment, platform: NodeJS.Platform): string | null {
  if (platform === 'win32' || platform === 'darwin' || env['DISPLAY'] || env['WAYLAND_DISPLAY']) return null
  return 'There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set), so Coppice serves its window instead.'
}

export function browserArguments(url: string, profile: string, root: boolean): string[] {
  return [
    `--app=${url}`,
    `--user-data-dir=${profile}`,
    '--window-size=1280,800',
    '--no-first-run',
    '--no-default-browser-check',
    '--disable-sync',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-features=Translate',
    // Chromium's sandbox refuses to work for root; the second switch hides its complaint about the first.
    ...(root ? ['--no-sandbox', '--test-type'] : []),
  ]
}

/**
 * Opens the window and waits until it is closed. With a profile of its own the browser's process lives as long as its windows. Its messages about
 * missing services of the desktop are of no use to anybody and not shown.
 * @returns false when the browser ended with a failure
 */
export async function showInBrowser(browser: string, url: string, profile: string, signal: AbortSignal): Promise<boolean> {
  await mkdir(profile, { recursive: true, mode: 0o700 })
  const child = spawn(browser, browserArguments(url, profile, process.getuid?.() === 0), { stdio: 'ignore' })
  signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
  return new Promise((resolve) => {
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0 || signal.aborted))
  })
}
