import type { Define } from './index.ts'

export const defineSuspend: Define = (program, run) => {
  program
    .command('suspend')
    .description('save a machine’s memory and stop it; start goes on from there')
    .argument('<name>', 'a machine’s name or id')
    .action((name: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        await cli.follow(host, () => host.machines.suspend({ id }))
        cli.printState(await host.machines.get({ id }), 'suspended')
      }),
    )
}
