import { Option, type Command } from 'commander'
import { resolve } from 'node:path'
import type { TaskResult, TaskStarted } from '../../../../src-shared/api/tasks.ts'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { diskFormat, formatOfName, type DiskFormat } from '../../../../src-shared/model/disk-format.ts'
import type { ImageInfo } from '../../../../src-shared/model/image-info.ts'
import { diskArgument, fileArgument, folderArgument, newSizeArgument, sizeArgument } from '../arguments.ts'
import type { Cli, Run } from '../cli.ts'
import { checkExit, checkLine, imageFacts, imageLine, LAYER_COLUMNS } from '../disk-words.ts'
import { CHECK_EXIT, inWordsOf, UsageError } from '../errors.ts'
import type { Services } from '../services.ts'
import type { Define } from './index.ts'

const HELP = `
An image may rest on others, which lie in its own folder or below; other folders are named by --backing-folder. The format of an image that is there is
what the machine says that has it, else what the file’s mark says, else raw. An image that a running machine has is refused. info and convert also read a
disk on the network: nbd://HOST[:PORT]/EXPORT, or nbd+unix:///EXPORT?socket=PATH.`

const CHECK_HELP = `
Exit codes: 0 nothing is wrong (any more); ${CHECK_EXIT.leaks} clusters are lost that nothing uses, and no data; ${CHECK_EXIT.corrupt} data would be wrong; 1 it could not be looked
through.`

interface ImageOptions {
  backingFolder: string[]
}

const WORDS = new Map([
  ['clusterSize', '--cluster-size'],
  ['folders', '--backing-folder'],
])
const CREATE_WORDS = new Map([...WORDS, ['size', '--size']])

export const defineDisk: Define = (program, run) => {
  const disk = program
    .command('disk')
    .description('make, look into and change disk images, a machine’s or others')
    .addHelpText('after', HELP)
  for (const define of [defineCreate, defineInfo, defineConvert, defineResize, defineCompact, defineCheck, defineCommit, defineRebase])
    define(disk, run)
}

interface CreateOptions extends ImageOptions {
  size?: number
  format?: DiskFormat
  backing?: string
  backingFormat?: DiskFormat
  clusterSize?: number
}

function defineCreate(disk: Command, run: Run): void {
  subcommand(disk, 'create', 'make an empty image, or one that keeps what differs from another')
    .argument('<file>', 'the new image', fileArgument)
    .option('--size <size>', 'how large the disk is, as in 10G; with --backing as large as that', sizeArgument)
    .addOption(formatOption('--format <format>', 'its format; as the file’s name says, else qcow2'))
    .option('--backing <file>', 'the image that it rests on, which must not change from then on', fileArgument)
    .addOption(formatOption('--backing-format <format>', 'that image’s format'))
    .option('--cluster-size <size>', 'what is stored as a whole, as in 64K', sizeArgument)
    .action((path: string, options: CreateOptions) =>
      run(async (cli) => {
        const { size, backing, backingFormat, clusterSize } = options
        if (size === undefined && backing === undefined) throw new UsageError('Say how large the disk is: --size SIZE.')
        if (backing === undefined && backingFormat !== undefined)
          throw new UsageError('--backing-format belongs to an image that the new one rests on: give --backing FILE too.')
        const folders = options.backingFolder
        const format = options.format ?? formatOfName(path) ?? 'qcow2'
        const { images } = await cli.host()
        await images
          .create({
            ...{ path, format, size: size ?? null, clusterSize },
            backing: backing === undefined ? null : { path: backing, format: backingFormat ?? null, folders },
          })
          .catch(inWordsOf(CREATE_WORDS))
        const made = await images.info({ path, format, folders })
        printImage(cli, made)
        if (made.problem !== null && !cli.output.json) cli.output.note(made.problem)
      }),
    )
}

function defineInfo(disk: Command, run: Run): void {
  subcommand(disk, 'info', 'show what an image is, and what it rests on')
    .argument('<file>', 'the image', diskArgument)
    .action((path: string, options: ImageOptions) =>
      run(async (cli) => {
        const { images } = await cli.host()
        const info = await images.info(imageOf(path, options)).catch(inWordsOf(WORDS))
        cli.output.result(info, () => {
          cli.output.facts(imageFacts(info))
          if (info.layers.length === 0) return
          cli.output.line('')
          cli.output.table([info, ...info.layers], LAYER_COLUMNS)
        })
      }),
    )
}

interface ConvertOptions extends ImageOptions {
  format?: DiskFormat
  packed?: boolean
  force?: boolean
}

function defineConvert(disk: Command, run: Run): void {
  subcommand(disk, 'convert', 'write the same disk into another file, with all that it rests on')
    .argument('<file>', 'the image', diskArgument)
    .argument('<target>', 'the new image', fileArgument)
    .addOption(formatOption('--format <format>', 'its format; as its name says unless given'))
    .option('--packed', 'compressed (qcow2, vmdk)')
    .option('--force', 'replace a file of that name')
    .action((from: string, to: string, options: ConvertOptions) =>
      run(async (cli) => {
        const format = options.format ?? formatOfName(to)
        if (format === null) throw new UsageError(`The name “${to}” does not say a format. Add one, as in --format qcow2.`)
        if (options.format === undefined && !cli.output.json) cli.output.note(`Writing the format ${format}, as the file’s name says.`)
        const host = await cli.host()
        const request = {
          from: imageOf(from, options),
          to: { path: to, format, packed: options.packed === true, replace: options.force === true },
        }
        await cli
          .follow(host, () => host.images.convert(request).catch(inWordsOf(WORDS)))
          .catch(adding('already-exists', 'Replace it by --force.'))
        printImage(cli, await host.images.info({ path: to, format }))
      }),
    )
}

function defineResize(disk: Command, run: Run): void {
  subcommand(disk, 'resize', 'make a disk larger or smaller; what is in it, partitions and file systems, stays as it is')
    .argument('<file>', 'the image', diskArgument)
    .argument('<size>', 'how large it is to be, as in 20G; +5G is so much more', newSizeArgument)
    .option('--shrink', 'what a smaller disk cuts off may be lost')
    .action((path: string, size: { bytes: number; more: boolean }, options: ImageOptions & { shrink?: boolean }) =>
      run(async (cli) => {
        const { images } = await cli.host()
        const image = imageOf(path, options)
        const before = await images.info(image).catch(inWordsOf(WORDS))
        const bytes = size.more ? before.size + size.bytes : size.bytes
        const resizing = images.resize({ image, size: bytes, shrink: options.shrink === true })
        await (bytes < before.size ? resizing.catch(adding('invalid-input', 'Add --shrink for that.')) : resizing)
        const after = await images.info(image)
        cli.output.result(after, () => cli.output.line(`${path}: ${formatBytes(after.size)}, was ${formatBytes(before.size)}`))
      }),
    )
}

function defineCompact(disk: Command, run: Run): void {
  subcommand(disk, 'compact', 'give back the room that holds zeroes or nothing')
    .argument('<file>', 'the image', diskArgument)
    .action((path: string, options: ImageOptions) =>
      run(async (cli) => {
        const { room } = await outcome(cli, ({ images }) => images.compact(imageOf(path, options)))
        const { before, after } = room!
        const gain = before > after ? `${formatBytes(before - after)} given back` : 'nothing to give back'
        cli.output.result({ path, before, after }, () => cli.output.line(`${path}: ${gain}, takes ${formatBytes(after)}`))
      }),
    )
}

function defineCheck(disk: Command, run: Run): void {
  subcommand(disk, 'check', 'look through an image’s metadata')
    .argument('<file>', 'the image', diskArgument)
    .option('--repair', 'mend what can be mended; copy the image first')
    .addHelpText('after', CHECK_HELP)
    .action((path: string, options: ImageOptions & { repair?: boolean }) =>
      run(async (cli) => {
        const repair = options.repair === true
        const { check = null } = await outcome(cli, ({ images }) => images.check({ image: imageOf(path, options), repair }))
        const found = check ?? { corruptions: 0, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0, findings: [] }
        cli.exit.done = checkExit(found)
        cli.output.result({ path, checked: check !== null, ...found }, () => {
          for (const finding of found.findings) cli.output.line(finding)
          const line = check ? checkLine(check) : 'it can be opened, and its format has nothing more to look through'
          cli.output.line(`${path}: ${line}`)
          if (cli.exit.done !== 0 && !repair) cli.output.note('--repair mends what can be mended. Copy the image first.')
        })
      }),
    )
}

function defineCommit(disk: Command, run: Run): void {
  subcommand(disk, 'commit', 'write what an image has into the one that it rests on, and empty it')
    .argument('<file>', 'the image', fileArgument)
    .action((path: string, options: ImageOptions) =>
      run(async (cli) => {
        const { copied = 0, into = '' } = await outcome(cli, ({ images }) => images.commit(imageOf(path, options)))
        cli.output.result({ path, into, copied }, () => cli.output.line(`${path}: ${formatBytes(copied)} written into ${into}`))
      }),
    )
}

interface RebaseOptions extends ImageOptions {
  backing?: string
  backingFormat?: DiskFormat
  alone?: boolean
  unsafe?: boolean
}

function defineRebase(disk: Command, run: Run): void {
  subcommand(disk, 'rebase', 'make an image rest on another one; what it shows stays the same')
    .argument('<file>', 'the image', fileArgument)
    .option('--backing <file>', 'the image that it is to rest on, which must not change from then on', fileArgument)
    .addOption(formatOption('--backing-format <format>', 'that image’s format'))
    .option('--alone', 'rest on nothing any more')
    .option('--unsafe', 'change only the name: for a backing that was moved. What the image shows may be something else')
    .action((path: string, options: RebaseOptions) =>
      run(async (cli) => {
        const { backing, alone = false, backingFolder: folders, backingFormat = null, unsafe = false } = options
        if ((backing === undefined) !== alone) throw new UsageError('Say what it is to rest on: --backing FILE, or --alone for nothing.')
        const target = backing === undefined ? null : { path: backing, format: backingFormat, folders }
        const image = imageOf(path, options)
        const { copied = 0 } = await outcome(cli, ({ images }) => images.rebase({ image, backing: target, unsafe }))
        const words = `rests on ${backing ?? 'nothing'}${copied > 0 ? `, ${formatBytes(copied)} copied into it` : ''}`
        cli.output.result({ path, backing: backing ?? null, copied }, () => cli.output.line(`${path}: ${words}`))
      }),
    )
}

function subcommand(disk: Command, name: string, description: string): Command {
  return disk
    .command(name)
    .description(description)
    .option('--backing-folder <folder>', 'where files may lie that it rests on, beside its own folder; may be repeated', addFolder, [])
}

function imageOf(path: string, { backingFolder: folders }: ImageOptions): { path: string; folders: string[] } {
  return { path, folders }
}

/** Long work on images, to its end. */
async function outcome(cli: Cli, start: (host: Services) => Promise<TaskStarted>): Promise<TaskResult> {
  const host = await cli.host()
  const { result } = await cli.follow(host, () => start(host).catch(inWordsOf(WORDS)))
  return result!
}

function addFolder(text: string, before: string[]): string[] {
  return [...before, resolve(folderArgument(text))]
}

function formatOption(flags: string, description: string): Option {
  return new Option(flags, description).choices(diskFormat.options)
}

function printImage(cli: Cli, info: ImageInfo): void {
  cli.output.result(info, () => cli.output.line(`${info.path}: ${imageLine(info)}`))
}

/** The host's sentence, and what it means for this command. */
function adding(code: AppError['code'], advice: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof AppError) || error.code !== code) throw error
    throw new AppError(code, `${error.message} ${advice}`, { ...error.details, fields: undefined }, error)
  }
}
