/** `coppice serve`: the host in this process, or the one that runs for the library already, shown over HTTP until somebody ends it. */
import { asAppError, AppError } from '../../../src-shared/errors/app-error.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { whoRuns } from '../end-machines.ts'
import { connectLocal } from '../local/connect.ts'
import { startOwnHost, type OwnHost } from '../own-host.ts'
import { rendererFolder } from '../paths.ts'
import { serve } from '../serve/serve.ts'
import { buildWindow } from './build-window.ts'
import type { Cli } from './cli.ts'
import { servicesOf } from './services.ts'

export interface ServeWindowOptions {
  port: number
  listen: string
  allowTerminal: boolean
}

/** @throws AppError `unavailable` for a port that cannot be had */
export async function serveWindow(cli: Cli, options: ServeWindowOptions): Promise<void> {
  await buildWindow()
  let own: OwnHost
  try {
    own = await startOwnHost({ library: cli.library, shell: 'served', allowTerminal: options.allowTerminal })
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'already-exists')) throw error
    await serveFromRunning(cli, options)
    return
  }
  try {
    const { port, listen } = options
    const served = await serve(own.host, { port, listen, rendererFolder })
    announce(cli, served)
    await untilEnded(cli, own)
    await served.close()
  } finally {
    await own.close()
  }
}

/** The library's host runs elsewhere and serves for as long as we stay. */
async function serveFromRunning(cli: Cli, options: ServeWindowOptions): Promise<void> {
  const client = cli.store.add(await connectLocal(cli.library))
  const { app, system } = servicesOf(client)
  const { features } = await system.info({})
  if (options.allowTerminal && !features.terminal)
    throw new AppError(
      'wrong-state',
      'The Coppice that runs for this library was started without terminals. End it with “coppice quit”, then try again.',
    )
  const { opening, stream } = await app.serve({ port: options.port, listen: options.listen })
  announce(cli, opening)
  const interruption = cli.interruption()
  await new Promise<void>((resolve, reject) => {
    interruption.addEventListener('abort', () => resolve())
    system.quitting(() => resolve())
    stream.onClose(() => reject(new AppError('disconnected', 'Coppice’s host has ended, and the window with it.')))
  })
  stream.close()
}

function announce(cli: Cli, served: { url: string; port: number; warning: string | null }): void {
  if (served.warning !== null) cli.output.note(served.warning)
  cli.output.record({ url: served.url, port: served.port }, () => `Coppice is at ${served.url}`)
}

/**
 * Resolves when the host has been told to quit, or when signals ended its machines: the first suspends them, and where that fails they run on;
 * one more pulls their plugs.
 */
async function untilEnded(cli: Cli, { host, claim }: OwnHost): Promise<void> {
  const signals = new Emitter<void>()
  const onSignal = (): void => signals.fire()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  try {
    await Promise.race([once(host.onQuit), once(claim.onLost).then(() => host.quiesce('suspend')), endBySignals(cli, host, signals.event)])
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, onSignal)
    signals.dispose()
  }
}

async function endBySignals(cli: Cli, host: OwnHost['host'], signal: Event<void>): Promise<void> {
  await once(signal)
  const running = host.activeMachines()
  const again = once(signal)
  if (running.length > 0) cli.output.note(`${whoRuns(running)}: suspending. Once more pulls the plug.`)
  const suspended = host.quiesce('suspend').then(
    () => true,
    (error: unknown) => {
      cli.output.error(`${asAppError(error).message} Ctrl-C pulls the plug.`)
      return false
    },
  )
  if (await Promise.race([suspended, again.then(() => false)])) return
  await again
  await host.quiesce('powerOff')
}

function once<T>(event: Event<T>): Promise<T> {
  return new Promise((resolve) => {
    const listening = event((value) => {
      listening.dispose()
      resolve(value)
    })
  })
}
