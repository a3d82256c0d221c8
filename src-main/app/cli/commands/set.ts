import { InvalidArgumentError } from 'commander'
import type { NewDisk } from '../../../../src-shared/model/new-disk.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { addNewDisk } from '../arguments.ts'
import { inWordsOf, UsageError } from '../errors.ts'
import { findSnapshot } from '../find-snapshot.ts'
import { readSecret } from '../read-secret.ts'
import { KEY_HELP, KEY_OF_FIELD, patchOf, withoutPassword } from '../settable.ts'
import { withSnapshotIds } from '../settable-snapshots.ts'
import type { Define } from './index.ts'

interface SetOptions {
  disk?: NewDisk[]
  removeDisk?: string[]
}

const DISK_WORDS = new Map([
  ['disks', '--disk'],
  ['drives', '--disk'],
])

function addId(text: string, before: string[] = []): string[] {
  if (!/^[a-z0-9-]+$/.test(text)) throw new InvalidArgumentError(`“${text}” is not a disk’s id. coppice show lists them.`)
  return [...before, text]
}

export const defineSet: Define = (program, run) => {
  const keys = KEY_HELP.map(([key, value]) => `  ${key.padEnd(14)} ${value}`)
  program
    .command('set')
    .description('change a machine: hardware while it is off (and what it takes while it runs), the rest any time')
    .argument('<name>', 'a machine’s name or id')
    .argument('[key=value...]', 'what to change')
    .option(
      '--disk <file-or-size>',
      'add a disk: an image where it is, an address (nbd:, iscsi:, nfs:), or as in 20G an empty one; may be repeated',
      addNewDisk,
    )
    .option('--remove-disk <id>', 'take a disk out; its image stays; may be repeated', addId)
    .addHelpText('after', `\nKeys:\n${keys.join('\n')}`)
    .action((name: string, assignments: string[], { disk = [], removeDisk = [] }: SetOptions) =>
      run(async (cli) => {
        if (assignments.length + disk.length + removeDisk.length === 0)
          throw new UsageError('Say what to change: KEY=VALUE, --disk or --remove-disk. coppice set --help lists the keys.')
        const host = await cli.host()
        const machine = await cli.machine(host, name)
        if (!machine.config)
          throw new AppError('corrupt', `“${machine.name}” cannot be changed: ${machine.problem?.message ?? 'its bundle cannot be read.'}`)
        const { asksPassword, others } = withoutPassword([...assignments, ...removeDisk.map((one) => `disk=${one}:`)])
        const { id } = machine
        const find = async (wanted: string): Promise<string> => findSnapshot(await host.snapshots.tree({ machine: id }), wanted).id
        const patch = patchOf(await withSnapshotIds(others, find), machine.config)
        if (asksPassword) {
          const password = await readSecret(`VNC password for “${machine.name}”`)
          await host.machines.setVncPassword({ id, password }).catch(inWordsOf(KEY_OF_FIELD))
        }
        let changed = machine
        if (disk.length === 0 || assignments.length + removeDisk.length > 0)
          changed = await host.machines.update({ id, patch }).catch(inWordsOf(KEY_OF_FIELD))
        if (disk.length > 0)
          changed = await host.disks.add({ machine: id, disks: disk.map((source) => ({ source })) }).catch(inWordsOf(DISK_WORDS))
        cli.output.result(changed, () => cli.output.line(`${changed.name}: changed`))
      }),
    )
}
