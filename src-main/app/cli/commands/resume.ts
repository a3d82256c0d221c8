import type { Define } from './index.ts'

export const defineResume: Define = (program, run) => {
  program
    .command('resume')
    .description('let a paused or suspended machine go on')
    .argument('<name>', 'a machine’s name or id')
    .action((name: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        cli.printState(await host.machines.resume({ id }), 'running')
      }),
    )
}
