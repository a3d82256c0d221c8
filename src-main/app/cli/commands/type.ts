import { serialPortArgument } from '../arguments.ts'
import { unescapeText } from '../escapes.ts'
import type { Define } from './index.ts'

export const defineType: Define = (program, run) => {
  program
    .command('type')
    .description('type text into a machine’s serial port')
    .argument('<name>', 'a machine’s name or id')
    .argument('<text>', 'what to type: \\n is the Enter key, \\r \\t \\e \\xHH work too, \\\\ is a backslash; nothing is added')
    .option('--port <number>', 'serial port, from 0', serialPortArgument, 0)
    .action((name: string, text: string, { port }: { port: number }) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        const typed = unescapeText(text)
        await host.machines.type({ id, port, text: typed })
        cli.output.result({ id, port, characters: typed.length }, () => {})
      }),
    )
}
