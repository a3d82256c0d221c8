import { extname } from 'node:path'
import { EXPORT_FORMATS, type ExportFormat } from '../../../../src-shared/api/exchange.ts'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { fileArgument } from '../arguments.ts'
import { inWordsOf, UsageError } from '../errors.ts'
import { findSnapshot } from '../find-snapshot.ts'
import type { Define } from './index.ts'

const HELP = `
FILE.ova is for VirtualBox, VMware and others: the machine as it is now, or as it was at a snapshot, without snapshots. FILE.coppice is the whole machine for
another Coppice: with its snapshots and, where it is suspended, what it is doing. The machine is off (for .coppice also suspended), unless --from names a snapshot.`

const WORDS = new Map([
  ['path', '<file>'],
  ['snapshot', '--from'],
])

export const defineExport: Define = (program, run) => {
  program
    .command('export')
    .description('write a machine into one file')
    .argument('<name>', 'a machine’s name or id')
    .argument('<file>', 'the new file, .ova or .coppice', fileArgument)
    .option('--from <snapshot>', 'as it was then: the snapshot’s label or id (.ova)')
    .option('--force', 'a file of that name gives way')
    .addHelpText('after', HELP)
    .action((name: string, path: string, { from, force = false }: { from?: string; force?: boolean }) =>
      run(async (cli) => {
        const format = formatOf(path)
        const host = await cli.host()
        const { id } = await cli.machine(host, name)
        const snapshot = from === undefined ? null : findSnapshot(await host.snapshots.tree({ machine: id }), from).id
        const request = { id, format, path, snapshot, replace: force }
        const task = await cli
          .follow(host, () => host.exchange.export(request).catch(inWordsOf(WORDS)))
          .catch((error: unknown) => {
            if (!(error instanceof AppError) || error.code !== 'already-exists') throw error
            throw new AppError(error.code, `${error.message} Replace it by --force.`, error.details, error)
          })
        const { bytes = 0, remarks = [] } = task.result!
        cli.output.result({ path, bytes, remarks }, () => {
          cli.output.line(`${path}: ${formatBytes(bytes)}`)
          for (const remark of remarks) cli.output.line(`  ${remark}`)
        })
      }),
    )
}

function formatOf(path: string): ExportFormat {
  const format = EXPORT_FORMATS.find((one) => `.${one}` === extname(path).toLowerCase())
  if (format === undefined) throw new UsageError('The file’s name ends in .ova (for other products) or in .coppice (for another Coppice).')
  return format
}
