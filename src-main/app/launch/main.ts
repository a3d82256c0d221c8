/**
 * `npm start` without Electron: the host in this process (or the one that runs for the library already), served on loopback, and its window in an
 * installed browser, or else the printed address.
 */
import path from 'node:path'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { findBrowser } from '../../host/system/find-program.ts'
import { endMachines, readSettings, whoRuns } from '../end-machines.ts'
import { libraryId, realLibraryPath } from '../local/runtime-folder.ts'
import type { OwnHost } from '../own-host.ts'
import { cacheFolder, defaultLibrary } from '../paths.ts'
import { serveLibrary, type ServedLibrary } from '../serve/serve-library.ts'
import { displayProblem, showInBrowser } from './browser-window.ts'
import { parseLaunchOptions, type LaunchOptions } from './options.ts'

const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`)

try {
  await main(parseLaunchOptions(process.argv.slice(2)))
  process.exit(0)
} catch (error) {
  const known = asAppError(error, 'Starting Coppice')
  say(`coppice: ${known.message}`)
  process.exit(known.code === 'invalid-input' ? 2 : 1)
}

async function main(options: LaunchOptions): Promise<void> {
  const asked = new AbortController()
  const again = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => (asked.signal.aborted ? again : asked).abort(signal))
  const library = options.library ?? defaultLibrary()
  const noWindow = options.serve ? null : (displayProblem(process.env, process.platform) ?? browserProblem())
  const inWindow = !options.serve && noWindow === null
  const shown = await serveLibrary(library, {
    port: options.port,
    listen: '127.0.0.1',
    allowTerminal: options.allowTerminal,
    waiting: say,
    // In a window the address stands among the browser's arguments, which every user of this computer can read.
    once: inWindow,
    token: process.env['COPPICE_TOKEN'] || undefined,
  })
  const stop = AbortSignal.any([asked.signal, abortWith(shown.gone)])
  try {
    if (noWindow) say(noWindow)
    if (inWindow) await showWindow(library, shown, stop)
    else await printAndWait(shown.url, stop)
    if (asked.signal.aborted && shown.own) await endAsked(shown.own, asked.signal.reason as NodeJS.Signals, again.signal)
  } finally {
    await shown.close()
  }
}

function browserProblem(): string | null {
  return findBrowser() ? null : 'Neither Electron nor Chromium, Chrome or Edge is installed here, so Coppice serves its window instead.'
}

async function printAndWait(url: string, stop: AbortSignal): Promise<void> {
  process.stdout.write(`Coppice is at ${url}\n`)
  await untilAborted(stop)
}

async function untilAborted(stop: AbortSignal): Promise<void> {
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }))
}

async function showWindow(library: string, shown: ServedLibrary, stop: AbortSignal): Promise<void> {
  const profile = path.join(cacheFolder(), 'browser', libraryId(await realLibraryPath(library)))
  const opened = await showInBrowser(findBrowser()!, shown.url, profile, stop)
  if (!opened) {
    say('The browser did not open the window. Open the address yourself; Ctrl-C ends Coppice.')
    return printAndWait(shown.url, stop)
  }
  if (!shown.own || stop.aborted) return
  const { onCloseWithRunning } = await readSettings(shown.own.host.server)
  // The window is gone, so that nobody can be asked any more: asking means to keep everything as it is.
  const outcome = await endOrStay(
    shown.own,
    onCloseWithRunning === 'suspend' || onCloseWithRunning === 'shutdown' ? onCloseWithRunning : null,
  )
  if (outcome === 'ended') return
  say(
    `${whoRuns(shown.own.host.activeMachines())} on in the background. A new “npm start” shows the window again; Ctrl-C suspends and ends.`,
  )
  return printAndWait(shown.url, stop)
}

/**
 * After Ctrl-C machines are kept, and those that cannot be run on until it comes once more. Who sends another signal (a service manager, a terminal
 * that is closed) is not there to be asked.
 */
async function endAsked(own: OwnHost, signal: NodeJS.Signals, again: AbortSignal): Promise<void> {
  const pulled = untilAborted(again).then(() => 'pulled' as const)
  if (signal !== 'SIGINT') return void (await Promise.race([own.host.endUnattended(), pulled]))
  if ((await Promise.race([endOrStay(own, 'suspend'), pulled])) !== 'stays') return
  say(`${whoRuns(own.host.activeMachines())} on. Ctrl-C once more pulls the plug.`)
  await pulled
}

async function endOrStay(own: OwnHost, how: 'suspend' | 'shutdown' | null): Promise<'ended' | 'stays'> {
  if (own.host.activeMachines().length === 0) return 'ended'
  if (how === null) return 'stays'
  say(how === 'suspend' ? 'Suspending the machines that run.' : 'Shutting down the machines that run.')
  const left = await endMachines(own.host, how).catch((error: unknown) => {
    say(asAppError(error).message)
    return own.host.activeMachines()
  })
  return left.length === 0 ? 'ended' : 'stays'
}

function abortWith(promise: Promise<void>): AbortSignal {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  promise.then(abort, abort)
  return controller.signal
}
