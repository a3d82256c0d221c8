import { InvalidArgumentError } from 'commander'
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { NewDisk } from '../../../../src-shared/model/new-disk.ts'
import { addNewDisk, newSizeArgument } from '../arguments.ts'
import { inWordsOf, UsageError } from '../errors.ts'
import { findSnapshot } from '../find-snapshot.ts'
import { readSecret } from '../read-secret.ts'
import type { Services } from '../services.ts'
import { KEY_HELP, KEY_OF_FIELD, patchOf, withoutPassword } from '../settable.ts'
import { withSnapshotIds } from '../settable-snapshots.ts'
import type { Define } from './index.ts'

interface SetOptions {
  disk?: NewDisk[]
  removeDisk?: string[]
  deleteImage?: boolean
  resizeDisk?: NewSize[]
  shrink?: boolean
}

interface NewSize {
  drive: string
  bytes: number
  /** So much more than now. */
  more: boolean
}

const DISK_WORDS = new Map([
  ['disks', '--disk'],
  ['drives', '--disk'],
])

function addId(text: string, before: string[] = []): string[] {
  if (!/^[a-z0-9-]+$/.test(text)) throw new InvalidArgumentError(`“${text}” is not a disk’s id. coppice show lists them.`)
  return [...before, text]
}

function addSize(text: string, before: NewSize[] = []): NewSize[] {
  const at = text.indexOf(':')
  if (at < 1) throw new InvalidArgumentError(`“${text}” is not a disk and a size. Write it as in disk0:40G.`)
  return [...before, { drive: text.slice(0, at), ...newSizeArgument(text.slice(at + 1)) }]
}

async function resize(host: Services, { id, name }: MachineView, { drive, bytes, more }: NewSize, shrink: boolean): Promise<void> {
  const found = (await host.disks.list({ machine: id })).find((disk) => disk.drive === drive)
  if (!found) throw new UsageError(`“${name}” has no disk “${drive}”. coppice show lists them.`)
  const size = bytes + (more ? (found.measure?.size ?? 0) : 0)
  await host.disks.resize({ machine: id, drive, size, shrink }).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'invalid-input' && !shrink && size < (found.measure?.size ?? 0))
      throw new AppError(error.code, `${error.message} Add --shrink for that.`, { ...error.details, fields: undefined }, error)
    throw error
  })
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
    .option('--remove-disk <id>', 'take a disk out; its image stays unless told otherwise; may be repeated', addId)
    .option('--delete-image', 'of disks that are taken out, where it lies in the machine’s folder and nothing else needs it')
    .option(
      '--resize-disk <id:size>',
      'another size for a disk, as in disk0:40G or disk0:+5G; larger also while QEMU runs the machine; may be repeated',
      addSize,
    )
    .option('--shrink', 'what a smaller disk cuts off may be lost')
    .addHelpText('after', `\nKeys:\n${keys.join('\n')}`)
    .action(
      (
        name: string,
        assignments: string[],
        { disk = [], removeDisk = [], deleteImage = false, resizeDisk = [], shrink = false }: SetOptions,
      ) =>
        run(async (cli) => {
          const more = disk.length + resizeDisk.length
          if (assignments.length + removeDisk.length + more === 0)
            throw new UsageError(
              'Say what to change: KEY=VALUE, --disk, --remove-disk or --resize-disk. coppice set --help lists the keys.',
            )
          const host = await cli.host()
          const machine = await cli.machine(host, name)
          if (!machine.config)
            throw new AppError(
              'corrupt',
              `“${machine.name}” cannot be changed: ${machine.problem?.message ?? 'its bundle cannot be read.'}`,
            )
          const { asksPassword, others } = withoutPassword([...assignments, ...removeDisk.map((one) => `disk=${one}:`)])
          const { id } = machine
          const find = async (wanted: string): Promise<string> => findSnapshot(await host.snapshots.tree({ machine: id }), wanted).id
          const patch = patchOf(await withSnapshotIds(others, find), machine.config)
          if (asksPassword) {
            const password = await readSecret(`VNC password for “${machine.name}”`)
            await host.machines.setVncPassword({ id, password }).catch(inWordsOf(KEY_OF_FIELD))
          }
          let changed = machine
          if (assignments.length + removeDisk.length > 0) changed = await host.machines.update({ id, patch }).catch(inWordsOf(KEY_OF_FIELD))
          for (const { id: drive, path } of deleteImage ? machine.config.drives : [])
            if (removeDisk.includes(drive) && path?.startsWith('disks/')) await host.disks.deleteImage({ machine: id, path })
          if (disk.length > 0)
            changed = await host.disks.add({ machine: id, disks: disk.map((source) => ({ source })) }).catch(inWordsOf(DISK_WORDS))
          for (const wish of resizeDisk) await resize(host, machine, wish, shrink)
          cli.output.result(changed, () => cli.output.line(`${changed.name}: changed`))
        }),
    )
}
