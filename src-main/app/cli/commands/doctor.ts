import type { CheckState } from '../../../../src-shared/api/system.ts'
import { printable } from '../output/text.ts'
import type { Define } from './index.ts'

const MARKS: Record<CheckState, { mark: string; colour: 'green' | 'yellow' | 'red' | 'cyan' }> = {
  ok: { mark: 'ok', colour: 'green' },
  warning: { mark: 'warning', colour: 'yellow' },
  problem: { mark: 'problem', colour: 'red' },
  info: { mark: 'info', colour: 'cyan' },
}
const MARK_WIDTH = Math.max(...Object.values(MARKS).map(({ mark }) => mark.length))

export const defineDoctor: Define = (program, run) => {
  program
    .command('doctor')
    .description('say what this computer can run, and why')
    .action(() =>
      run(async (cli) => {
        const host = await cli.host()
        const report = await host.system.doctor({})
        const { output } = cli
        output.result(report, () => {
          for (const check of report.checks) {
            const { mark, colour } = MARKS[check.state]
            // Already printable: the colours are not to be escaped.
            process.stdout.write(`${output.style(colour, mark.padEnd(MARK_WIDTH))}  ${printable(`${check.title}: ${check.detail}`)}\n`)
            if (check.advice !== null) output.line(`${' '.repeat(MARK_WIDTH + 2)}${check.advice}`)
          }
          output.line(report.summary)
        })
      }),
    )
}
