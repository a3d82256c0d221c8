import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { RUN_ENDS, type RunEnd } from '../../../../src-shared/model/run.ts'
import { secondsArgument } from '../arguments.ts'
import { UsageError } from '../errors.ts'
import type { Define } from './index.ts'

/** How long --wait waits unless told otherwise: a small guest boots in seconds, a large one on the embedded engine in minutes. */
const WAIT_MS = 10 * 60 * 1000

interface Options extends Partial<Record<RunEnd, boolean>> {
  wait?: boolean
  timeout?: number
}

function endOf(options: Options): { end?: RunEnd } {
  const ends = RUN_ENDS.filter((end) => options[end])
  if (ends.length > 1) throw new UsageError(`Only one of ${ends.map((end) => `--${end}`).join(' and ')} can be.`)
  return ends[0] ? { end: ends[0] } : {}
}

export const defineStart: Define = (program, run) => {
  program
    .command('start')
    .description('start a machine, or resume it where it is suspended')
    .argument('<name>', 'a machine’s name or id')
    .option('--discard', 'what it does to its disks is thrown away when it is off')
    .option('--decide', 'what becomes of that is decided when it is off, with “coppice decide”')
    .option('--keep', 'it is kept, whatever the machine’s setting “when-off” says')
    .option('--wait', 'wait until the guest’s first prompt or boot-complete mark is seen')
    .option('--timeout <seconds>', `give up waiting after this time (default: ${WAIT_MS / 1000})`, secondsArgument)
    .action((name: string, options: Options) =>
      run(async (cli) => {
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        const started =
          machine.state === 'running' && options.wait ? machine : await host.machines.start({ id: machine.id, ...endOf(options) })
        if (!options.wait) {
          cli.printState(started, 'running')
          return
        }
        const limit = AbortSignal.timeout(options.timeout ?? WAIT_MS)
        const booted = await host.machines.waitBooted({ id: machine.id }, { signal: limit }).catch((error: unknown) => {
          if (!limit.aborted) throw error
          const seconds = (options.timeout ?? WAIT_MS) / 1000
          throw new AppError(
            'timeout',
            `“${machine.name}” runs, but no prompt was seen within ${seconds} s. Look at it with “coppice console”.`,
          )
        })
        cli.printState(booted, 'running, booted')
      }),
    )
}
