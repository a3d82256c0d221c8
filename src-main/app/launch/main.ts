/**
 * `npm start` without Electron: the host in this process (or the one that runs for the library already), served on loopback, and its window in an
 * installed browser, or else the printed address.
 */
import path from 'node:path'
import { app } from '../../../src-shared/api/app.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { endMachines, readSettings, whoRuns } from '../end-machines.ts'
import { connectLocal } from '../local/connect.ts'
import { libraryId, realLibraryPath } from '../local/runtime-folder.ts'
import { startOwnHost, type OwnHost } from '../own-host.ts'
import { cacheFolder, defaultLibrary, rendererFolder } from '../paths.ts'
import { serve } from '../serve/serve.ts'
import { displayProblem, findBrowser, showInBrowser } from './browser-window.ts'
import { parseLaunchOptions, type LaunchOptions } from './options.ts'

/** What the window is shown of: a host of ours, or one that runs elsewhere (`own` is null). */
interface Shown {
  url: string
  own: OwnHost | null
  /** Resolves when the host is gone. */
  gone: Promise<void>
  /** Stops serving; a host of ours ends. */
  close(): Promise<void>
}

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
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => asked.abort())
  const library = options.library ?? defaultLibrary()
  const noWindow = options.serve ? null : (displayProblem(process.env, process.platform) ?? browserProblem())
  const inWindow = !options.serve && noWindow === null
  const shown = await show(library, options, inWindow)
  const stop = AbortSignal.any([asked.signal, abortWith(shown.gone)])
  try {
    if (noWindow) say(noWindow)
    if (inWindow) await showWindow(library, shown, stop)
    else await printAndWait(shown.url, stop)
    // Whoever ends this process cannot be asked: machines are kept.
    if (asked.signal.aborted && shown.own) await endOrStay(shown.own, 'suspend')
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

async function showWindow(library: string, shown: Shown, stop: AbortSignal): Promise<void> {
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

/** @param once the address will stand among the browser's arguments, which every user of this computer can read */
async function show(library: string, options: LaunchOptions, once: boolean): Promise<Shown> {
  try {
    return await showOwn(library, options, once)
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'already-exists')) throw error
  }
  const client = await connectLocal(library)
  const { opening, stream } = await client.service(app).serve({ port: options.port, once })
  return {
    url: opening.url,
    own: null,
    gone: new Promise((resolve) => client.onClose(resolve)),
    close: async () => {
      stream.close()
      client.dispose()
    },
  }
}

async function showOwn(library: string, options: LaunchOptions, once: boolean): Promise<Shown> {
  const own = await startOwnHost({ library, shell: 'served', allowTerminal: options.allowTerminal })
  try {
    const token = process.env['COPPICE_TOKEN']
    const served = await serve(own.host, { port: options.port, listen: '127.0.0.1', rendererFolder, once, ...(token ? { token } : {}) })
    return {
      url: served.url,
      own,
      gone: new Promise((resolve) => own.host.onQuit(() => resolve())),
      close: async () => {
        await served.close()
        await own.close()
      },
    }
  } catch (error) {
    await own.close()
    throw error
  }
}

function abortWith(promise: Promise<void>): AbortSignal {
  const controller = new AbortController()
  void promise.then(() => controller.abort())
  return controller.signal
}
