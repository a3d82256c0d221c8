import { findSnapshot } from '../find-snapshot.ts'
import { UsageError } from '../errors.ts'
import type { Define } from './index.ts'

export const defineClone: Define = (program, run) => {
  program
    .command('clone')
    .description('make a machine like another: with a copy of its disks, or sharing those of a snapshot')
    .argument('<name>', 'a machine’s name or id; for a copy of its disks it is off')
    .argument('<new>', 'what to call the copy')
    .option('--linked', 'begin at a snapshot and share its disks; without --from at the present state')
    .option('--from <snapshot>', 'the snapshot’s label or id')
    .action((name: string, copy: string, { linked = false, from }: { linked?: boolean; from?: string }) =>
      run(async (cli) => {
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        if (from !== undefined && !linked) throw new UsageError('--from belongs to a linked clone: give --linked too.')
        const snapshot = from === undefined ? null : findSnapshot(await host.snapshots.tree({ machine: id }), from).id
        const task = await cli.follow(host, () =>
          linked ? host.snapshots.clone({ machine: id, snapshot, name: copy }) : host.machines.duplicate({ id, name: copy }),
        )
        const made = await host.machines.get({ id: task.result!.id! })
        cli.output.result(made, () => cli.output.line(`${made.name}: created in ${made.bundle}`))
      }),
    )
}
