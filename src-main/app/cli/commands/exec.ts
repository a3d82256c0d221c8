import { InvalidArgumentError } from 'commander'
import { asAppError } from '../../../../src-shared/errors/app-error.ts'
import { secondsArgument } from '../arguments.ts'
import { EXEC_EXIT } from '../errors.ts'
import { execSession, exitCodeOf } from '../exec-session.ts'
import type { Define } from './index.ts'

interface ExecOptions {
  timeout?: number
  env: string[]
  input: boolean
}

const HELP = `
The program runs as the guest's agent does, usually as root or the system, without a shell: for pipes and variables run one, as in
  coppice exec web -- sh -c 'df -h | tail -1'
Its output comes as it is printed with the agent of Coppice Linux, and at its end with qemu-guest-agent. Standard input that is no terminal goes to
the program, whole and before it starts (1 MiB at most). Ctrl-C kills the program.

Exit codes: the program's own; 128 and the signal's number where a signal ended it; 124 when its time was over, 130 when it was interrupted; ${EXEC_EXIT.failed} when
it could not be run or followed, with one sentence on standard error. With qemu-guest-agent --env replaces the whole environment.`

export const defineExec: Define = (program, run) => {
  program
    .command('exec')
    .description('run a program in a machine’s guest, by the agent in it')
    .argument('<name>', 'a machine’s name or id')
    .argument('<program...>', 'the program and its arguments, after --')
    .option('--timeout <seconds>', 'kill the program when it has not ended by then', secondsArgument)
    .option('--env <name=value>', 'a variable of its environment; may be repeated', environmentArgument, [])
    .option('--no-input', 'do not read standard input')
    .addHelpText('after', HELP)
    .action((name: string, [path, ...args]: [string, ...string[]], options: ExecOptions) =>
      run(async (cli) => {
        cli.exit.failed = EXEC_EXIT.failed
        const host = await cli.host()
        const { id, name: machine } = await cli.machine(host, name)
        const { json } = cli.output
        const input = options.input && process.stdin.isTTY !== true
        const interruption = cli.interruption()
        const command = { path, args, env: options.env, input, limitMs: options.timeout ?? null }
        try {
          const { stream } = await host.machines.exec({ id, command }, { signal: interruption })
          cli.store.defer(() => stream.close())
          const ended = await execSession({
            machine,
            stream,
            input: input ? process.stdin : null,
            output: json ? null : { out: process.stdout, err: process.stderr },
            waiting: () => cli.output.note('Waiting for the end of standard input. Without it: --no-input.'),
            interruption,
          })
          cli.exit.done = exitCodeOf(ended)
          const { exitCode, signal, truncated, stdout, stderr } = ended
          cli.output.result({ id, exitCode, signal, truncated, stdout, stderr }, () => {
            if (truncated) cli.output.note('The guest’s agent did not keep all of the output.')
          })
        } catch (error) {
          const { code } = asAppError(error)
          if (interruption.aborted) cli.exit.failed = EXEC_EXIT.interrupted
          else if (code === 'timeout') cli.exit.failed = EXEC_EXIT.timeout
          throw error
        }
      }),
    )
}

function environmentArgument(text: string, before: string[]): string[] {
  if (!/^[A-Za-z_][A-Za-z0-9_]*=/.test(text)) throw new InvalidArgumentError(`“${text}” is not a variable: write it as NAME=value.`)
  return [...before, text]
}
