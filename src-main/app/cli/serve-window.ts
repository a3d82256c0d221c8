/** `coppice serve`: the host in this process, or the one that runs for the library already, shown over HTTP until somebody ends it. */
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { Emitter, nextValue, type Event } from '../../../src-shared/base/event.ts'
import { whoRuns } from '../end-machines.ts'
import type { OwnHost } from '../own-host.ts'
import { serveLibrary, type ServeLibraryOptions } from '../serve/serve-library.ts'
import { buildWindow } from './build-window.ts'
import type { Cli } from './cli.ts'

/** @throws AppError `unavailable` for a port that cannot be had, `disconnected` where a host that runs elsewhere is gone without a word */
export async function serveWindow(cli: Cli, options: ServeLibraryOptions): Promise<void> {
  await buildWindow()
  const served = await serveLibrary(cli.library, { ...options, waiting: (sentence) => cli.output.note(sentence) })
  try {
    if (served.warning !== null) cli.output.note(served.warning)
    cli.output.record({ url: served.url, port: served.port }, () => `Coppice is at ${served.url}`)
    if (served.own) await untilEnded(cli, served.own)
    else await Promise.race([served.gone, interrupted(cli)])
  } finally {
    await served.close()
  }
}

function interrupted(cli: Cli): Promise<void> {
  const interruption = cli.interruption()
  return new Promise((resolve) => interruption.addEventListener('abort', () => resolve(), { once: true }))
}

/**
 * Resolves when the host has been told to quit, or when signals ended its machines. Ctrl-C suspends them, and where that fails they run on; one
 * more pulls their plugs. Who sends SIGTERM (a service manager, the computer's shutdown) gives no second chance.
 */
async function untilEnded(cli: Cli, { host, claim }: OwnHost): Promise<void> {
  const signals = new Emitter<NodeJS.Signals>()
  const onSignal = (signal: NodeJS.Signals): void => signals.fire(signal)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  try {
    await Promise.race([once(host.onQuit), once(claim.onLost).then(() => host.endUnattended()), endBySignals(cli, host, signals.event)])
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, onSignal)
    signals.dispose()
  }
}

async function endBySignals(cli: Cli, host: OwnHost['host'], signal: Event<NodeJS.Signals>): Promise<void> {
  const first = await once(signal)
  const running = host.activeMachines()
  const again = once(signal)
  if (running.length > 0) cli.output.note(`${whoRuns(running)}: suspending. Once more pulls the plug.`)
  if (first === 'SIGTERM') return Promise.race([host.endUnattended(), again.then(() => host.quiesce('powerOff'))])
  const suspended = host.quiesce('suspend').then(
    () => true,
    (error: unknown) => {
      cli.output.error(`${asAppError(error).message} Ctrl-C pulls the plug.`)
      return false
    },
  )
  if (await Promise.race([suspended, again.then(() => false)])) return
  await ((await again) === 'SIGTERM' ? host.endUnattended() : host.quiesce('powerOff'))
}

function once<T>(event: Event<T>): Promise<T> {
  return nextValue(event, () => true)
}
