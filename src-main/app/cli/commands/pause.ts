import type { Define } from './index.ts'

export const definePause: Define = (program, run) => {
  program
    .command('pause')
    .description('halt a machine where it is; its memory stays')
    .argument('<name>', 'a machine’s name or id')
    .action((name: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        cli.printState(await host.machines.pause({ id }), 'paused')
      }),
    )
}
