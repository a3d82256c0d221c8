import { Option } from 'commander'
import { resolve } from 'node:path'
import type { NewMachine } from '../../../../src-shared/api/machines.ts'
import { ARCHES, CONFIG_WORDS, CPUS, ENGINES, SERIAL_PORTS, type Arch, type SharedFolder } from '../../../../src-shared/model/machine.ts'
import { isNetworkAddress } from '../../../../src-shared/model/network-disk.ts'
import type { NewDisk } from '../../../../src-shared/model/new-disk.ts'
import { addNewDisk, memoryArgument, serialPortsArgument, shareArgument, sizeArgument, wholeNumber } from '../arguments.ts'
import { inWordsOf, UsageError } from '../errors.ts'
import type { Define } from './index.ts'

interface CreateOptions {
  sample?: boolean
  iso?: string
  disk?: NewDisk[]
  floppy?: string
  kernel?: string
  initrd?: string
  cmdline?: string
  engine: NewMachine['engine']
  arch?: Arch
  cpus?: number
  memory?: number
  firmware?: NewMachine['firmware']
  tpm?: boolean
  devices?: NewMachine['devices']
  newDisk?: number
  serialPorts?: number
  share?: SharedFolder[]
  net?: (string | null)[]
}

const WORDS = new Map([
  ['engine', '--engine'],
  ['arch', '--arch'],
  ['cpus', '--cpus'],
  ['memoryMiB', '--memory'],
  ['firmware', '--firmware'],
  ['tpm', '--tpm'],
  ['devices', '--devices'],
  ['newDiskBytes', '--new-disk'],
  ['disks', '--disk'],
  ['serialPorts', '--serial-ports'],
  ['sharedFolders', '--share'],
  ['networks', '--net'],
  ['source.initrd', '--initrd'],
  ['source.cmdline', '--cmdline'],
])

export const defineCreate: Define = (program, run) => {
  program
    .command('create')
    .description('make a machine')
    .argument('<name>', 'its name')
    .option('--sample', 'Coppice Linux, a small Linux made from Debian’s packages')
    .option('--iso <file>', 'boot from a CD or DVD image')
    .option(
      '--disk <file-or-size>',
      'a disk: a copy of an image, or as in 20G an empty one; boots from the first unless told otherwise; may be repeated',
      addNewDisk,
    )
    .option('--floppy <file>', 'boot from a floppy image')
    .option('--kernel <file>', 'boot a Linux kernel directly')
    .option('--initrd <file>', 'its initial RAM disk')
    .option('--cmdline <text>', 'its command line')
    .addOption(new Option('--engine <engine>', 'what runs it').choices(ENGINES).default('auto'))
    .addOption(new Option('--arch <arch>', 'its processor; chosen by Coppice unless given').choices(ARCHES))
    .option('--cpus <count>', 'processors', wholeNumber('a number of processors', CPUS.min, CPUS.max))
    .option('--memory <size>', 'memory, as in 256M', memoryArgument)
    .addOption(new Option('--firmware <firmware>', 'what it starts with').choices(CONFIG_WORDS.firmware))
    .option('--tpm', 'with a TPM 2.0')
    .addOption(new Option('--devices <kind>', 'modern ones (virtio), or older ones for older systems').choices(CONFIG_WORDS.devices))
    .option('--new-disk <size>', 'add an empty disk, as in 2G, before those of --disk', sizeArgument)
    .option('--serial-ports <count>', `serial ports, ${SERIAL_PORTS.min} to ${SERIAL_PORTS.max}`, serialPortsArgument)
    .option('--share <tag:folder>', 'share a folder, read-only; with :rw behind it the guest may write; may be repeated', addShare)
    .option('--net <network>', 'a network card in this network, or in none; may be repeated (default: one in “default”)', addNetwork)
    .action((name: string, options: CreateOptions) =>
      run(async (cli) => {
        const { source, disks } = sourceOf(options)
        const machine: NewMachine = {
          name,
          ...{ source, disks },
          engine: options.engine,
          arch: options.arch,
          cpus: options.cpus,
          memoryMiB: options.memory,
          firmware: options.firmware,
          tpm: options.tpm,
          devices: options.devices,
          newDiskBytes: options.newDisk,
          serialPorts: options.serialPorts,
          sharedFolders: options.share,
          networks: options.net,
        }
        const host = await cli.host()
        const task = await cli.follow(host, () => host.machines.create(machine)).catch(inWordsOf(WORDS))
        const made = await host.machines.get({ id: task.result!.id! })
        cli.output.result(made, () => cli.output.line(`${made.name}: created in ${made.bundle}`))
      }),
    )
}

function addShare(text: string, before: SharedFolder[] = []): SharedFolder[] {
  return [...before, shareArgument(text)]
}

function addNetwork(text: string, before: (string | null)[] = []): (string | null)[] {
  return [...before, text === 'none' ? null : text]
}

/**
 * What it boots, and its disks beside that.
 * @throws UsageError unless exactly one source is given
 */
export function sourceOf(options: Pick<CreateOptions, 'sample' | 'iso' | 'disk' | 'floppy' | 'kernel' | 'initrd' | 'cmdline'>): {
  source: NewMachine['source']
  disks: NewDisk[]
} {
  const { sample, iso, disk = [], floppy, kernel, initrd, cmdline } = options
  const given = [sample && '--sample', iso && '--iso', floppy && '--floppy', kernel && '--kernel'].filter(Boolean)
  const first = disk.find((one) => one.kind === 'file')
  if (given.length === 0 && !first)
    throw new UsageError('Say what it boots: --sample, --iso FILE, --disk FILE, --floppy FILE or --kernel FILE.')
  if (given.length > 1) throw new UsageError(`A machine is made from one thing, not from ${given.join(' and ')}.`)
  if (kernel === undefined && (initrd !== undefined || cmdline !== undefined))
    throw new UsageError('--initrd and --cmdline belong to a kernel: give --kernel FILE too.')
  if (given.length === 0)
    return { source: { kind: 'disk', path: first!.path, copy: !isNetworkAddress(first!.path) }, disks: disk.filter((one) => one !== first) }
  const source = (): NewMachine['source'] => {
    if (iso !== undefined) return { kind: 'iso', path: resolve(iso) }
    if (floppy !== undefined) return { kind: 'floppy', path: resolve(floppy) }
    if (kernel !== undefined)
      return { kind: 'kernel', kernel: resolve(kernel), initrd: initrd === undefined ? null : resolve(initrd), cmdline }
    return { kind: 'sample' }
  }
  return { source: source(), disks: disk }
}
