/**
 * The desktop application: the host in the main process, its windows, and what a desktop expects around them. Where a host for the library runs
 * already (a headless one, `coppice serve`), windows are opened onto that instead.
 *
 * Electron becomes ready after this module has been evaluated: what has to be set before stands at the top level, and nothing here may wait
 * for readiness at the top level.
 */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { app, dialog, session } from 'electron'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { connectLocal } from '../local/connect.ts'
import { libraryId, realLibraryPath } from '../local/runtime-folder.ts'
import { startOwnHost, type OwnHost } from '../own-host.ts'
import { cacheFolder, defaultLibrary, rendererFolder } from '../paths.ts'
import { readWindowFiles } from '../serve/window-files.ts'
import { Desktop } from './desktop.ts'
import { registerScheme, serveScheme } from './protocol.ts'
import { remoteHost, type RemoteHost } from './remote-host.ts'
import { guardApp, guardSession } from './security.ts'

let desktop: Desktop | null = null
guardApp((machine) => desktop?.showDisplay(machine))
registerScheme()
const library = libraryArgument() ?? defaultLibrary()
// One application for each library: its own profile, and with it its own lock.
const profile = path.join(cacheFolder(), 'electron', libraryId(await realLibraryPath(library)))
mkdirSync(profile, { recursive: true })
app.setPath('userData', profile)

if (app.requestSingleInstanceLock()) open().catch(fail)
else app.exit(0)

async function open(): Promise<void> {
  await app.whenReady()
  guardSession(session.defaultSession)
  serveScheme(await readWindowFiles(rendererFolder))
  const opened = new Desktop(profile, await hostFor(library))
  desktop = opened
  app.on('second-instance', () => opened.show())
  app.on('activate', () => opened.show())
  opened.show()
}

function fail(error: unknown): void {
  dialog.showErrorBox('Coppice could not start', asAppError(error, 'Starting Coppice').message)
  app.exit(1)
}

/** `--library DIR`; Electron's and Chromium's own switches are left alone. */
function libraryArgument(): string | undefined {
  const { values } = parseArgs({
    args: process.argv.slice(1),
    options: { library: { type: 'string' } },
    strict: false,
    allowPositionals: true,
  })
  return typeof values.library === 'string' ? path.resolve(values.library) : undefined
}

async function hostFor(library: string): Promise<OwnHost | RemoteHost> {
  try {
    return await startOwnHost({ library, shell: 'electron', allowTerminal: true })
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'already-exists')) throw error
    return remoteHost(await connectLocal(library))
  }
}
