import type { Define } from './index.ts'

export const defineClone: Define = (program, run) => {
  program
    .command('clone')
    .description('make a machine like another: a copy of its disks as they are now, and an identity of its own')
    .argument('<name>', 'a machine’s name or id; it is not running')
    .argument('<new>', 'what to call the copy')
    .action((name: string, copy: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        const task = await cli.follow(host, () => host.machines.duplicate({ id, name: copy }))
        const made = await host.machines.get({ id: task.result!.id! })
        cli.output.result(made, () => cli.output.line(`${made.name}: created in ${made.bundle}`))
      }),
    )
}
