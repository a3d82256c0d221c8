import type { Command } from 'commander'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import type { SnapshotMaker, SnapshotTree, SnapshotView } from '../../../../src-shared/model/snapshot.ts'
import type { Cli, Run } from '../cli.ts'
import { findSnapshot } from '../find-snapshot.ts'
import { comparisonLines } from '../comparison-words.ts'
import type { Column } from '../output/table.ts'
import { treeLines } from '../snapshot-tree.ts'
import type { Define } from './index.ts'

const HELP = `
A snapshot keeps a machine's disks and, where it runs or is suspended, what it is doing. Going back to it changes no other snapshot: what comes after is
another branch. Snapshots are named by their label, their id, or as many characters at its beginning as are needed.`

export const defineSnapshot: Define = (program, run) => {
  const snapshot = program.command('snapshot').description('keep states of a machine, and go back to them').addHelpText('after', HELP)
  for (const define of [defineTake, defineList, defineTree, defineRestore, defineDelete, defineCompare]) define(snapshot, run)
}

const NAME = ['<name>', 'a machine’s name or id'] as const
/** The present state, unless a snapshot is called so. */
const NOW = 'now'
const SNAPSHOT = ['<snapshot>', 'a snapshot’s label or id'] as const

function defineTake(snapshot: Command, run: Run): void {
  snapshot
    .command('take')
    .description('keep the state that the machine is in; one that runs stands still for a moment')
    .argument(...NAME)
    .argument('<label>', 'what to call it')
    .option('--note <text>', 'what is to be remembered of it', '')
    .option('--no-memory', 'keep the disks alone: going back, the machine starts afresh')
    .action((name: string, label: string, { note, memory }: { note: string; memory: boolean }) =>
      run(async (cli) => {
        const { host, id } = await machineOf(cli, name)
        const { leftOut } = await host.snapshots.tree({ machine: id })
        for (const sentence of leftOut) cli.output.note(sentence)
        const task = await cli.follow(host, () => host.snapshots.take({ machine: id, label, note, memory }))
        const { snapshots } = await host.snapshots.tree({ machine: id })
        const taken = snapshots.find((one) => one.id === task.result?.id)
        cli.output.record(taken, () => `${label}: ${taken ? formatBytes(taken.bytes) : ''}`)
      }),
    )
}

function defineList(snapshot: Command, run: Run): void {
  snapshot
    .command('list')
    .description('list a machine’s snapshots, oldest first')
    .argument(...NAME)
    .action((name: string) =>
      run(async (cli) => {
        const { tree } = await treeOf(cli, name)
        cli.output.result(tree, () => {
          if (tree.snapshots.length === 0) cli.output.note(`There are no snapshots. Take one with “coppice snapshot take ${name} LABEL”.`)
          else cli.output.table(tree.snapshots, columns(tree))
        })
      }),
    )
}

const MAKERS: Record<SnapshotMaker, string> = { person: '', schedule: 'schedule', start: 'start', run: 'trial' }

function columns({ current }: SnapshotTree): Column<SnapshotView>[] {
  return [
    { title: 'LABEL', cell: ({ label }) => label },
    { title: 'TAKEN', cell: ({ created }) => new Date(created).toLocaleString() },
    { title: 'SIZE', align: 'right', cell: ({ bytes }) => formatBytes(bytes) },
    { title: 'MEMORY', cell: ({ running }) => (running ? 'yes' : '') },
    { title: 'BY', cell: ({ by }) => MAKERS[by] },
    { title: 'PINNED', cell: ({ pinned }) => (pinned ? 'yes' : '') },
    { title: 'HERE', cell: ({ id }) => (id === current ? '*' : '') },
    { title: 'ID', cell: ({ id }) => id.slice(0, 8) },
  ]
}

function defineTree(snapshot: Command, run: Run): void {
  snapshot
    .command('tree')
    .description('draw a machine’s snapshots, and where it is')
    .argument(...NAME)
    .action((name: string) =>
      run(async (cli) => {
        const { tree } = await treeOf(cli, name)
        cli.output.result(tree, () => treeLines(tree).forEach((line) => cli.output.line(line)))
      }),
    )
}

function defineRestore(snapshot: Command, run: Run): void {
  snapshot
    .command('restore')
    .description('go back to a snapshot; what the machine is now is lost, unless it is kept')
    .argument(...NAME)
    .argument(...SNAPSHOT)
    .option('--keep <label>', 'take a snapshot of what it is now first')
    .action((name: string, wanted: string, { keep }: { keep?: string }) =>
      run(async (cli) => {
        const { host, id, tree } = await treeOf(cli, name)
        const { id: target } = findSnapshot(tree, wanted)
        await cli.follow(host, () => host.snapshots.restore({ machine: id, snapshot: target, keep: keep ?? null }))
        const now = await host.machines.get({ id })
        cli.printState(now, now.state)
      }),
    )
}

function defineDelete(snapshot: Command, run: Run): void {
  snapshot
    .command('delete')
    .description('delete a snapshot; what later states need of it is merged into them')
    .argument(...NAME)
    .argument(...SNAPSHOT)
    .option('--subtree', 'with everything that came from it')
    .action((name: string, wanted: string, { subtree = false }: { subtree?: boolean }) =>
      run(async (cli) => {
        const { host, id, tree } = await treeOf(cli, name)
        const { id: target, label } = findSnapshot(tree, wanted)
        await cli.follow(host, () => host.snapshots.delete({ machine: id, snapshot: target, subtree }))
        cli.output.record({ deleted: target }, () => `${label}: deleted`)
      }),
    )
}

function defineCompare(snapshot: Command, run: Run): void {
  snapshot
    .command('compare')
    .description('show where the disks of two states differ')
    .argument(...NAME)
    .argument('<before>', 'a snapshot’s label or id')
    .argument('[after]', `another one’s; “${NOW}” is the present state of a machine that does not run`, NOW)
    .action((name: string, before: string, after: string) =>
      run(async (cli) => {
        const { host, id, tree } = await treeOf(cli, name)
        const states = { before: stateIn(tree, before), after: stateIn(tree, after) }
        const task = await cli.follow(host, () => host.snapshots.compare({ machine: id, ...states }))
        const comparison = task.result!.comparison!
        cli.output.result(comparison, () => comparisonLines(comparison).forEach((line) => cli.output.line(line)))
      }),
    )
}

function stateIn(tree: SnapshotTree, wanted: string): string | null {
  const named = tree.snapshots.some(({ label }) => label === wanted)
  return wanted === NOW && !named ? null : findSnapshot(tree, wanted).id
}

async function machineOf(cli: Cli, name: string) {
  const host = await cli.host()
  return { host, id: (await cli.machine(host, name)).id }
}

async function treeOf(cli: Cli, name: string) {
  const { host, id } = await machineOf(cli, name)
  return { host, id, tree: await host.snapshots.tree({ machine: id }) }
}
