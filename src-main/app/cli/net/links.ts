/** `coppice net impair`, `capture`, `cut` and `join`: what is done to a link. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { NetworkTarget } from '../../../../src-shared/api/networks.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import type { Impairment } from '../../../../src-shared/model/network.ts'
import { fileArgument, wholeNumber } from '../arguments.ts'
import type { Cli, Run } from '../cli.ts'
import { inWordsOf, UsageError } from '../errors.ts'
import type { Services } from '../services.ts'
import { cardArgument, percentArgument, rateArgument, timeArgument } from './values.ts'
import { impairmentWords } from './words.ts'

const TARGET = ['<target>', 'a network’s name, or MACHINE:NIC, as in web-1:nic0'] as const
export const CARD = ['<card>', 'MACHINE:NIC, as in web-1:nic0'] as const

const IMPAIRMENT_WORDS = new Map(
  ['rate', 'delay', 'jitter', 'loss', 'duplicate', 'reorder', 'corrupt', 'seed'].map((name) => [name, `--${name}`]),
)

/** ms: longer than anything is kept. */
const EVER = 1e15

interface ImpairOptions extends Partial<Impairment> {
  clear?: boolean
}

export function defineImpair(net: Command, run: Run): void {
  net
    .command('impair')
    .description('make a link worse, both ways and at once; what is not named stays as it is')
    .argument(...TARGET)
    .option('--rate <rate>', 'at most so much, as in 10mbit', rateArgument)
    .option('--delay <time>', 'each frame is so late, as in 50ms', timeArgument)
    .option('--jitter <time>', 'so much to and fro of the delay, as in 5ms', timeArgument)
    .option('--loss <percent>', 'frames that are lost, as in 1%', percentArgument)
    .option('--duplicate <percent>', 'frames that come twice', percentArgument)
    .option('--reorder <percent>', 'frames that come at once, ahead of those that are delayed', percentArgument)
    .option('--corrupt <percent>', 'frames with one bit flipped', percentArgument)
    .option('--seed <number>', 'the same frames meet the same fate each time', wholeNumber('a seed', 0, 0xffff_ffff))
    .addOption(
      new Option('--clear', 'as good as it was').conflicts(['rate', 'delay', 'jitter', 'loss', 'duplicate', 'reorder', 'corrupt', 'seed']),
    )
    .action((target: string, { clear, ...given }: ImpairOptions) =>
      run(async (cli) => {
        if (!clear && Object.keys(given).length === 0)
          throw new UsageError('Say how: --rate 10mbit, --delay 50ms, --jitter 5ms, --loss 1%; or --clear.')
        const host = await cli.host()
        const found = await targetOf(cli, host, target)
        const impairment = clear ? null : { ...(await impairmentOf(host, found)), ...given }
        await host.networks.impair({ target: found, impairment }).catch(inWordsOf(IMPAIRMENT_WORDS))
        const now = await impairmentOf(host, found)
        cli.output.result(now, () => cli.output.line(`${target}: ${impairmentWords(now) || 'not impaired'}`))
      }),
    )
}

export function defineCapture(net: Command, run: Run): void {
  net
    .command('capture')
    .description('write packets into a file (pcapng) that Wireshark reads: those that were kept, or those that come')
    .argument('<target>', `${TARGET[1]}; or an alert’s id, for what led to it`)
    .argument('<file>', 'a new file', fileArgument)
    .addOption(new Option('--last <time>', 'what was kept of the time before now, as in 60s').argParser(someTime).conflicts('for'))
    .option('--for <time>', 'what passes from now on, for so long, as in 10s; Ctrl-C ends it earlier', someTime)
    .action((target: string, path: string, options: { last?: number; for?: number }) =>
      run(async (cli) => {
        const host = await cli.host()
        const alert = await alertOf(host, target)
        if (alert !== null && options.for !== undefined) throw new UsageError('What led to an alert has passed: leave --for out.')
        const { last = alert === null ? null : EVER, for: duration = null } = options
        if (last === null && duration === null)
          throw new UsageError('Say what to capture: --last 60s for what was kept, --for 10s for what comes.')
        const found = alert === null ? await targetOf(cli, host, target) : { alert }
        const { result } = await cli.follow(host, () => host.networks.capture({ target: found, path, last, duration }))
        const { frames = 0, bytes = 0 } = result!
        cli.output.result({ path, frames, bytes }, () => cli.output.line(`${path}: ${frames} packets, ${formatBytes(bytes)}`))
      }),
    )
}

export function defineCut(net: Command, run: Run): void {
  for (const [name, cut, words] of [
    ['cut', true, 'pull a network card’s cable, until it is joined again'],
    ['join', false, 'plug a cable in again that was cut, by hand or by an alert'],
  ] as const)
    net
      .command(name)
      .description(words)
      .argument(...CARD)
      .action((card: string) =>
        run(async (cli) => {
          const host = await cli.host()
          const found = await cardOf(cli, host, card)
          await host.networks.cut({ ...found, cut })
          cli.output.result({ ...found, cut }, () => cli.output.line(`${card}: ${cut ? 'cut' : 'joined'}`))
        }),
      )
}

/** The alert of that id, or the only one whose id begins so; null: there is none. */
export async function alertOf(host: Services, text: string): Promise<string | null> {
  if (!/^[0-9a-f]{8}[0-9a-f-]*$/.test(text)) return null
  const found = (await host.networks.alerts({})).filter(({ id }) => id.startsWith(text))
  return found.length === 1 ? found[0]!.id : null
}

/** @throws AppError `not-found` */
export function noAlert(text: string): never {
  throw new AppError('not-found', `There is no alert “${text}”. coppice net alerts lists them.`, { subject: text })
}

/** Nothing takes no time. */
function someTime(text: string): number {
  const ms = timeArgument(text)
  if (ms === 0) throw new InvalidArgumentError('Write a time above zero, as in 60s.')
  return ms
}

/** @throws UsageError for text that is none, AppError `not-found` for a machine that is not there */
export async function cardOf(cli: Cli, host: Services, text: string): Promise<{ machine: string; nic: string }> {
  const card = cardArgument(text)
  if (!card) throw new UsageError(`“${text}” is not a network card. Write it as MACHINE:NIC, as in web-1:nic0; coppice show lists them.`)
  const { id } = await cli.machine(host, card.machine)
  return { machine: id, nic: card.nic }
}

async function targetOf(cli: Cli, host: Services, text: string): Promise<NetworkTarget> {
  return cardArgument(text) ? cardOf(cli, host, text) : { network: text }
}

async function impairmentOf(host: Services, target: NetworkTarget): Promise<Impairment> {
  if ('network' in target) return (await host.networks.get({ name: target.network })).network.impairment
  const { networks, loose } = await host.networks.list({})
  const nic = [...networks.flatMap(({ nics }) => nics), ...loose].find((one) => one.machine === target.machine && one.nic === target.nic)
  if (!nic) throw new UsageError(`The machine has no network card “${target.nic}”. coppice show lists them.`)
  return nic.impairment
}
