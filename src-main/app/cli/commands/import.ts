import { formatBytes } from '../../../../src-shared/base/units.ts'
import type { OfferedMachine } from '../../../../src-shared/api/exchange.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { fileArgument, wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { inWordsOf } from '../errors.ts'
import type { Define } from './index.ts'

const HELP = `
FILE is an .ova or .ovf package, a machine of VMware (.vmx), VirtualBox (.vbox) or UTM (its folder), an archive that “coppice export” wrote (.coppice), or a disk
image of any format. Disks are converted; the file stays as it is.`

interface ImportOptions {
  name?: string
  machine?: number
  acceptLicence?: boolean
  dryRun?: boolean
}

const WORDS = new Map([
  ['name', '--name'],
  ['machine', '--machine'],
  ['licencesAccepted', '--accept-licence'],
])

export const defineImport: Define = (program, run) => {
  program
    .command('import')
    .description('make a machine of one from elsewhere')
    .argument('<file>', 'the machine', fileArgument)
    .option('--name <name>', 'what to call it')
    .option('--machine <number>', 'which one, where the file has several', wholeNumber('the number of a machine', 1, 1000))
    .option('--accept-licence', 'the licence that it comes with was read and is accepted')
    .option('--dry-run', 'say what would be made, and make nothing')
    .addHelpText('after', HELP)
    .action((path: string, { name, machine, acceptLicence = false, dryRun = false }: ImportOptions) =>
      run(async (cli) => {
        const host = await cli.host()
        const { kind, machines } = await host.exchange.inspect({ path })
        if (dryRun) return cli.output.result({ kind, machines }, () => machines.forEach((one) => printOffer(cli, one)))
        const at = machine === undefined ? onlyOne(machines) : machine - 1
        const offer = machines[at]
        if (offer && offer.licences.length > 0 && !acceptLicence) {
          for (const licence of offer.licences) cli.output.note(licence)
          throw new AppError('denied', 'The machine comes with this licence. If you accept it, add --accept-licence.')
        }
        const request = { path, machine: at, licencesAccepted: acceptLicence, ...(name === undefined ? {} : { name }) }
        const task = await cli.follow(host, () => host.exchange.import(request)).catch(inWordsOf(WORDS))
        const made = await host.machines.get({ id: task.result!.id! })
        const remarks = task.result!.remarks ?? []
        cli.output.result({ machine: made, remarks }, () => {
          cli.output.line(`${made.name}: imported into ${made.bundle}`)
          for (const remark of remarks) cli.output.line(`  ${remark}`)
        })
      }),
    )
}

function onlyOne(machines: readonly OfferedMachine[]): number {
  if (machines.length <= 1) return 0
  const list = machines.map(({ name }, at) => `${at + 1} “${name}”`).join(', ')
  throw new AppError('invalid-input', `The file has ${machines.length} machines. Choose one by --machine: ${list}.`)
}

function printOffer(
  { output }: Cli,
  { name, hardware, nics, drives, snapshots, why, problems, remarks, licences, refused }: OfferedMachine,
): void {
  const { arch, cpus, memoryMiB, firmware, tpm } = hardware
  const parts = [arch, `${cpus} processor${cpus === 1 ? '' : 's'}`, formatBytes(memoryMiB * 1024 ** 2), firmware, ...(tpm ? ['TPM'] : [])]
  output.line(`${name}: ${parts.join(', ')}`)
  for (const { kind, file, format, size } of drives)
    output.line(
      `  ${kind}: ${[file ?? 'empty', ...(format === null ? [] : [format]), ...(size === null ? [] : [formatBytes(size)])].join(', ')}`,
    )
  output.line(`  network cards: ${nics}`)
  if (snapshots > 0) output.line(`  snapshots: ${snapshots}`)
  if (licences.length > 0) output.line('  comes with a licence that has to be accepted')
  for (const sentence of refused !== null ? [] : problems.length > 0 ? problems : [why]) output.line(`  ${sentence}`)
  for (const remark of remarks) output.line(`  ${remark}`)
  if (refused !== null) output.line(`  cannot be imported: ${refused}`)
}
