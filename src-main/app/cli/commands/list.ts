import type { MachineView } from '../../../../src-shared/api/machines.ts'
import { formatBytes, formatDuration, MiB } from '../../../../src-shared/base/units.ts'
import { STATE_WORDS } from '../../../../src-shared/model/machine-state.ts'
import { isUndecided } from '../../../../src-shared/model/run.ts'
import { SHORT_ID } from '../find-machine.ts'
import type { Column } from '../output/table.ts'
import { stateStyle } from '../state-style.ts'
import type { Define } from './index.ts'

export const defineList: Define = (program, run) => {
  program
    .command('list')
    .description('list the machines')
    .action(() =>
      run(async (cli) => {
        const host = await cli.host()
        const machines = (await host.machines.list({})).toSorted(byName)
        const columns: Column<MachineView>[] = [
          { title: 'NAME', cell: (machine) => machine.name },
          {
            title: 'STATE',
            cell: stateWord,
            style: (text, machine) => cli.output.style(stateStyle(machine.state), text),
          },
          {
            title: 'FOR',
            cell: (machine) => (machine.startedAt === null ? '' : formatDuration(Date.now() - Date.parse(machine.startedAt))),
          },
          { title: 'MEMORY', align: 'right', cell: (machine) => (machine.config ? formatBytes(machine.config.memoryMiB * MiB) : '') },
          { title: 'ENGINE', cell: (machine) => machine.engine },
          { title: 'ID', cell: (machine) => machine.id.slice(0, SHORT_ID) },
        ]
        cli.output.result(machines, () => {
          if (machines.length === 0) cli.output.note('The library is empty. Make a machine with “coppice create NAME --sample”.')
          else cli.output.table(machines, columns)
        })
      }),
    )
}

function stateWord({ state, config }: MachineView): string {
  if (config?.template && state === 'off') return 'Template'
  return isUndecided(config?.run ?? null, state) ? `${STATE_WORDS[state]}, undecided` : STATE_WORDS[state]
}

function byName(a: MachineView, b: MachineView): number {
  return a.name.localeCompare(b.name, undefined, { numeric: true }) || (a.id < b.id ? -1 : 1)
}
