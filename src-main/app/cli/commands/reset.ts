import type { Define } from './index.ts'

export const defineReset: Define = (program, run) => {
  program
    .command('reset')
    .description('restart a machine at once; what its guest did not save is lost')
    .argument('<name>', 'a machine’s name or id')
    .action((name: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        cli.printState(await host.machines.reset({ id }), 'reset')
      }),
    )
}
