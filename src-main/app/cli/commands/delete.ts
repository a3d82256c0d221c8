import { UsageError } from '../errors.ts'
import type { Define } from './index.ts'

export const defineDelete: Define = (program, run) => {
  program
    .command('delete')
    .description('move a machine to the trash')
    .argument('<name>', 'a machine’s name or id')
    .option('--yes', 'yes, this machine')
    .action((name: string, options: { yes?: boolean }) =>
      run(async (cli) => {
        if (!options.yes)
          throw new UsageError(`Deleting “${name}” moves the machine with its disks to the trash. Add --yes if you mean it.`)
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        const { trashedTo } = await host.machines.trash({ id: machine.id })
        cli.output.result({ id: machine.id, name: machine.name, trashedTo }, () =>
          cli.output.line(`${machine.name}: moved to the trash (${trashedTo})`),
        )
      }),
    )
}
