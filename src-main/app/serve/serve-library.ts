/** A library's window over HTTP: from a host in this process, or from the one that runs for the library already. */
import { app } from '../../../src-shared/api/app.ts'
import { system } from '../../../src-shared/api/system.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { connectLocal } from '../local/connect.ts'
import { startOwnHost, type OwnHost, type OwnHostOptions } from '../own-host.ts'
import { rendererFolder } from '../paths.ts'
import { serve, type ServeOptions } from './serve.ts'

export interface ServedLibrary {
  /** With its token. */
  url: string
  port: number
  /** Sentence to show where listening is more than loopback; null else. */
  warning: string | null
  /** The host in this process; null: it runs elsewhere. */
  own: OwnHost | null
  /** Resolves when the host was told to quit; rejects with AppError `disconnected` when it is gone otherwise. */
  gone: Promise<void>
  /** Stops serving; a host of this process ends. Deal with its running machines before. */
  close(): Promise<void>
}

/** `token` is for a host in this process alone: one that runs elsewhere makes its own. */
export type ServeLibraryOptions = Pick<ServeOptions, 'port' | 'listen' | 'once' | 'token'> &
  Pick<OwnHostOptions, 'allowTerminal' | 'waiting'>

/** @throws AppError as startOwnHost and serve, `wrong-state` where the host that runs was started without the terminals that are asked for */
export async function serveLibrary(library: string, options: ServeLibraryOptions): Promise<ServedLibrary> {
  const { allowTerminal, waiting, ...serving } = options
  let own: OwnHost
  try {
    own = await startOwnHost({ library, shell: 'served', allowTerminal, ...(waiting && { waiting }) })
  } catch (error) {
    if (error instanceof AppError && error.code === 'already-exists') return serveFromRunning(library, options)
    throw error
  }
  try {
    const served = await serve(own.host, { ...serving, rendererFolder })
    return {
      url: served.url,
      port: served.port,
      warning: served.warning,
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

/** The library's host serves for as long as we hold the stream. */
async function serveFromRunning(library: string, { port, listen, once, allowTerminal }: ServeLibraryOptions): Promise<ServedLibrary> {
  const client = await connectLocal(library)
  try {
    const { features } = await client.service(system).info({})
    if (allowTerminal && !features.terminal)
      throw new AppError(
        'wrong-state',
        'The Coppice that runs for this library was started without terminals. End it with “coppice quit”, then try again.',
      )
    const { opening, stream } = await client.service(app).serve({ port, listen, once })
    const gone = new Promise<void>((resolve, reject) => {
      client.service(system).quitting(() => resolve())
      stream.onClose(() => reject(new AppError('disconnected', 'Coppice’s host has ended, and the window with it.')))
    })
    // Whoever closes does not wait for it.
    gone.catch(() => {})
    return {
      url: opening.url,
      port: opening.port,
      warning: opening.warning,
      own: null,
      gone,
      close: async () => {
        stream.close()
        client.dispose()
      },
    }
  } catch (error) {
    client.dispose()
    throw error
  }
}
