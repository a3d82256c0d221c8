import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { secondsArgument } from '../arguments.ts'
import type { Define } from './index.ts'

/** How long --wait waits unless told otherwise: a small guest boots in seconds, a large one on the embedded engine in minutes. */
const WAIT_MS = 10 * 60 * 1000

export const defineStart: Define = (program, run) => {
  program
    .command('start')
    .description('start a machine, or resume it where it is suspended')
    .argument('<name>', 'a machine’s name or id')
    .option('--wait', 'wait until the guest’s first prompt or boot-complete mark is seen')
    .option('--timeout <seconds>', `give up waiting after this time (default: ${WAIT_MS / 1000})`, secondsArgument)
    .action((name: string, options: { wait?: boolean; timeout?: number }) =>
      run(async (cli) => {
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        const started = machine.state === 'running' && options.wait ? machine : await host.machines.start({ id: machine.id })
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
