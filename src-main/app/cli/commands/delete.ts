import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { dependentWords } from '../../../../src-shared/model/dependent.ts'
import { UsageError } from '../errors.ts'
import type { Define } from './index.ts'

export const defineDelete: Define = (program, run) => {
  program
    .command('delete')
    .description('move a machine to the trash')
    .argument('<name>', 'a machine’s name or id')
    .option('--yes', 'yes, this machine')
    .option('--needed', 'also where other machines need files of it')
    .action((name: string, options: { yes?: boolean; needed?: boolean }) =>
      run(async (cli) => {
        if (!options.yes)
          throw new UsageError(`Deleting “${name}” moves the machine with its disks to the trash. Add --yes if you mean it.`)
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        const { needed = false } = options
        const dependents = needed ? [] : await host.machines.dependents({ id: machine.id })
        if (dependents.length > 0)
          throw new AppError(
            'wrong-state',
            `Other machines need files of “${machine.name}”: ${dependents.map(dependentWords).join('; ')}. Add --needed to delete it all the same.`,
          )
        const { trashedTo } = await host.machines.trash({ id: machine.id, needed })
        cli.output.result({ id: machine.id, name: machine.name, trashedTo }, () =>
          cli.output.line(`${machine.name}: moved to the trash (${trashedTo})`),
        )
      }),
    )
}
