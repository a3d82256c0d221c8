import type { MachineView } from '../../../../src-shared/api/machines.ts'
import type { MachineSample, MetricsSample } from '../../../../src-shared/api/metrics.ts'
import { nextValue } from '../../../../src-shared/base/event.ts'
import { formatBytes, formatCount } from '../../../../src-shared/base/units.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { isActive } from '../../../../src-shared/model/machine-state.ts'
import type { Cli } from '../cli.ts'
import { tellsEnd } from '../find-machine.ts'
import type { Services } from '../services.ts'
import type { Define } from './index.ts'

export const defineMetrics: Define = (program, run) => {
  program
    .command('metrics')
    .description('show a running machine’s figures')
    .argument('<name>', 'a machine’s name or id')
    .option('--watch', 'a line every second until the machine is off or Ctrl-C')
    .action((name: string, options: { watch?: boolean }) =>
      run(async (cli) => {
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        if (!isActive(machine.state)) throw new AppError('wrong-state', `“${machine.name}” does not run: there is nothing to measure.`)
        if (options.watch) await watch(cli, host, machine)
        else await once(cli, host, machine)
      }),
    )
}

async function once(cli: Cli, host: Services, machine: MachineView): Promise<void> {
  const latest = await host.metrics.latest({})
  // Rates need two looks at the counters: a machine that just started has its first sample a second later.
  const sample = latest.machines[machine.id] ? latest : await nextValue(host.metrics.sample, () => true)
  const figures = sample.machines[machine.id]
  if (!figures) throw new AppError('unavailable', `There are no figures of “${machine.name}” yet. Try again in a second.`)
  cli.output.result({ id: machine.id, name: machine.name, at: sample.at, ...figures }, () => {
    for (const [key, value] of figureLines(figures, machine.engine)) cli.output.line(`${key.padEnd(14)}${value}`)
  })
}

async function watch(cli: Cli, host: Services, machine: MachineView): Promise<void> {
  const interruption = cli.interruption()
  // Interrupted: the ordinary way to end.
  const ended = nextValue(host.machines.changed, (change) => tellsEnd(change, machine.id), interruption).catch(() => null)
  const print = (sample: MetricsSample): void => {
    const figures = sample.machines[machine.id]
    if (figures)
      cli.output.record({ id: machine.id, name: machine.name, at: sample.at, ...figures }, () =>
        figureLine(sample.at, figures, machine.engine),
      )
  }
  cli.store.add(host.metrics.sample(print))
  await ended
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}

/** Without what QEMU cannot tell: how much of it is the guest's work. */
export function figureLines(sample: MachineSample, engine: MachineView['engine']): [string, string][] {
  return [
    ['cpu', `${percent(sample.cpu)} of a core`],
    ...(engine === 'embedded' ? guestLines(sample) : []),
    ['memory', formatBytes(sample.memoryBytes)],
    ['disk read', `${formatBytes(sample.diskReadPerSecond)}/s`],
    ['disk written', `${formatBytes(sample.diskWrittenPerSecond)}/s`],
    ['net received', `${formatBytes(sample.netReceivedPerSecond)}/s`],
    ['net sent', `${formatBytes(sample.netSentPerSecond)}/s`],
  ]
}

function guestLines(sample: MachineSample): [string, string][] {
  return [
    ['instructions', formatCount(sample.instructionsPerSecond, '/s')],
    ['halted', percent(sample.halted)],
  ]
}

/** @param at Unix time, ms */
export function figureLine(at: number, sample: MachineSample, engine: MachineView['engine']): string {
  const figures = figureLines(sample, engine).map(([key, value]) => `${key} ${value}`)
  return [new Date(at).toLocaleTimeString(undefined, { hour12: false }), ...figures].join('  ')
}
