import { DECISIONS, type Decision } from '../../../../src-shared/model/run.ts'
import { oneOf } from '../arguments.ts'
import { UsageError } from '../errors.ts'
import type { Define } from './index.ts'

const HELP = `
keep      the disks stay as they are; can be said while the machine runs, too
discard   they go back to what they were when the machine was started
branch    what it did becomes a snapshot with that label, and the machine goes back`

const DONE: Record<Decision, string> = { keep: 'kept', discard: 'discarded', branch: 'kept as a branch' }

export const defineDecide: Define = (program, run) => {
  program
    .command('decide')
    .description('say what becomes of what a machine did that was started with --decide or --discard')
    .argument('<name>', 'a machine’s name or id')
    .argument('<what>', DECISIONS.join(', '), oneOf('a decision', DECISIONS))
    .argument('[label]', 'what to call the branch')
    .addHelpText('after', HELP)
    .action((name: string, decision: Decision, label: string | undefined) =>
      run(async (cli) => {
        if (decision === 'branch' && label === undefined) throw new UsageError('A branch needs a label: coppice decide NAME branch LABEL.')
        if (decision !== 'branch' && label !== undefined) throw new UsageError(`“${label}” is too much: only a branch has a label.`)
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        await cli.follow(host, () => host.snapshots.decide({ machine: id, decision, ...(label === undefined ? {} : { label }) }))
        cli.printState(await host.machines.get({ id }), DONE[decision])
      }),
    )
}
