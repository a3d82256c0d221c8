/** The command line: `coppice COMMAND …`. Loads the code of the one command that is called. */
import { Command, CommanderError } from 'commander'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { HEADLESS_COMMAND } from '../local/headless-report.ts'
import { defaultLibrary, version } from '../paths.ts'
import { folderArgument } from './arguments.ts'
import { Cli, type GlobalOptions, type Run } from './cli.ts'
import { COMMANDS, type CommandName } from './commands/index.ts'
import { errorSentence, EXIT, UsageError } from './errors.ts'

process.exitCode = await main(process.argv.slice(2))
// Input that nobody reads any more (a pipe that stays open) must not keep the process; what was printed has to be out first.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise<void>((done) => stream.write('', () => done()))))
process.exit()

async function main(args: string[]): Promise<number> {
  // `coppice list | head -1`: nobody wants the rest.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(EXIT.done)
  })
  let exit: number = EXIT.done
  const program = new Command('coppice')
    .description('Virtual machines from the command line. The window and this command share one host.')
    .version(version)
    .option('--json', 'print results as JSON')
    .option('--library <folder>', `the library folder (default: COPPICE_LIBRARY, or ${defaultLibrary({})})`, folderArgument)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'coppice: ')) })
    .showHelpAfterError('Run “coppice COMMAND --help” for what a command takes.')
    .exitOverride()
  const run: Run = async (work) => {
    exit = await perform(new Cli(program.opts<GlobalOptions>()), work)
  }
  const named = args.find((arg, at) => !arg.startsWith('-') && args[at - 1] !== '--library')
  const wanted = named !== undefined && Object.hasOwn(COMMANDS, named) ? [named as CommandName] : (Object.keys(COMMANDS) as CommandName[])
  for (const name of wanted) (await COMMANDS[name]())(program, run)
  if (args[0] === HEADLESS_COMMAND) program.command(HEADLESS_COMMAND, { hidden: true }).action(() => run(runHost))
  try {
    await program.parseAsync(args, { from: 'user' })
    return exit
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? EXIT.done : EXIT.usage
  }
}

async function perform(cli: Cli, work: (cli: Cli) => Promise<void>): Promise<number> {
  try {
    await work(cli)
    return cli.exit.done
  } catch (error) {
    if (error instanceof UsageError) {
      cli.output.error(error.message)
      return EXIT.usage
    }
    const known = asAppError(error)
    cli.output.error(errorSentence(known))
    if (known.code === 'internal') cli.output.note(known.toWire().details?.technical ?? '')
    return cli.exit.failed
  } finally {
    cli.store.dispose()
  }
}

async function runHost(cli: Cli): Promise<void> {
  const { runHeadless } = await import('../local/headless.ts')
  await runHeadless(cli.library)
}
