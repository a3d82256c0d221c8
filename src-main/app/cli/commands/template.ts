import { Argument } from 'commander'
import type { Define } from './index.ts'

const HELP = `
A template does not start, and its hardware stays as it is. Machines are made from it by “coppice clone”: with --linked they share its disks. Neither needs
the other's files, so that a template may be deleted, or become an ordinary machine again, at any time.`

export const defineTemplate: Define = (program, run) => {
  program
    .command('template')
    .description('make a machine a template, which others are made from, or an ordinary machine again')
    .argument('<name>', 'a machine’s name or id')
    .addArgument(new Argument('<on|off>', 'on: it is a template').choices(['on', 'off']))
    .addHelpText('after', HELP)
    .action((name: string, wanted: 'on' | 'off') =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        const machine = await host.machines.update({ id, patch: { template: wanted === 'on' } })
        cli.printState(machine, wanted === 'on' ? 'a template' : 'an ordinary machine')
      }),
    )
}
