import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { patternArgument, secondsArgument, serialPortArgument } from '../arguments.ts'
import { printable } from '../output/text.ts'
import { runSession } from '../console/session.ts'
import type { Define } from './index.ts'

interface ConsoleOptions {
  port: number
  until?: RegExp
  timeout?: number
}

const HELP = `
On a terminal, everything that the guest printed since its start is shown first, and Ctrl-] detaches.
Otherwise standard input is typed into the guest, and what the guest prints from now on is printed. The session ends at the first match of
--until; without --until when the input has ended and the guest has been quiet for a second. A match is looked for in the plain text, without
colours, line by line: ^ and $ are a line's beginning and end.`

export const defineConsole: Define = (program, run) => {
  program
    .command('console')
    .description('attach to a machine’s serial console')
    .argument('<name>', 'a machine’s name or id')
    .option('--port <number>', 'serial port, from 0', serialPortArgument, 0)
    .option('--until <regex>', 'end at the first match in what the guest prints from now on', patternArgument)
    .option('--timeout <seconds>', 'fail when the session has not ended by then', secondsArgument)
    .addHelpText('after', HELP)
    .action((name: string, options: ConsoleOptions) =>
      run(async (cli) => {
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        const { json } = cli.output
        const called = printable(machine.name)
        const terminal = process.stdin.isTTY === true && !json
        const { opening, stream } = await host.machines.console({ id: machine.id, port: options.port, from: null })
        cli.store.defer(() => stream.close())
        if (!opening.live && !terminal)
          throw new AppError('wrong-state', `“${machine.name}” is off. Start it with “coppice start ${machine.name}” to use its console.`)
        if (terminal) {
          process.stderr.write(`Attached to “${called}”, serial port ${options.port}. Ctrl-] detaches.\r\n`)
          process.stdin.setRawMode(true)
          const restore = (): void => void process.stdin.setRawMode(false)
          process.once('exit', restore)
          cli.store.defer(restore)
          for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
        }
        const ended = await runSession({
          machine: machine.name,
          stream,
          scrollback: opening.end - opening.start,
          showScrollback: terminal,
          until: options.until ?? null,
          timeout: options.timeout ?? null,
          interactive: terminal,
          input: process.stdin,
          output: json ? null : process.stdout,
          plain: process.stdout.isTTY === true && !terminal,
        })
        // The prompt of the shell that called us is to begin on a line of its own.
        if (process.stdout.isTTY && !terminal && !json && !/(^|\n)$/.test(ended.text)) process.stdout.write('\n')
        if (json)
          cli.output.result({ id: machine.id, port: options.port, ended: ended.why, match: ended.match, output: ended.text }, () => {})
        if (terminal) process.stderr.write(`\r\n${ended.why === 'stopped' ? `“${called}” is off.` : 'Detached.'}\r\n`)
      }),
    )
}
