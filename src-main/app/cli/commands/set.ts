import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { inWordsOf } from '../errors.ts'
import { readSecret } from '../read-secret.ts'
import { KEY_HELP, KEY_OF_FIELD, patchOf, withoutPassword } from '../settable.ts'
import type { Define } from './index.ts'

export const defineSet: Define = (program, run) => {
  const keys = KEY_HELP.map(([key, value]) => `  ${key.padEnd(14)} ${value}`)
  program
    .command('set')
    .description('change a machine: hardware while it is off (and what it takes while it runs), the rest any time')
    .argument('<name>', 'a machine’s name or id')
    .argument('<key=value...>', 'what to change')
    .addHelpText('after', `\nKeys:\n${keys.join('\n')}`)
    .action((name: string, assignments: string[]) =>
      run(async (cli) => {
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        if (!machine.config)
          throw new AppError('corrupt', `“${machine.name}” cannot be changed: ${machine.problem?.message ?? 'its bundle cannot be read.'}`)
        const { asksPassword, others } = withoutPassword(assignments)
        const patch = patchOf(others, machine.config)
        const { id } = machine
        if (asksPassword) {
          const password = await readSecret(`VNC password for “${machine.name}”`)
          await host.machines.setVncPassword({ id, password }).catch(inWordsOf(KEY_OF_FIELD))
        }
        const changed = await host.machines.update({ id, patch }).catch(inWordsOf(KEY_OF_FIELD))
        cli.output.result(changed, () => cli.output.line(`${changed.name}: changed`))
      }),
    )
}
