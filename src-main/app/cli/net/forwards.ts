/** `coppice net forward`: ports of this computer that lead into a network. */
import { Argument, type Command } from 'commander'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { parseIp } from '../../../../src-shared/model/ip.ts'
import type { Forward } from '../../../../src-shared/model/network.ts'
import type { Cli, Run } from '../cli.ts'
import { SHORT_ID } from '../find-machine.ts'
import { inWordsOf, UsageError } from '../errors.ts'
import type { Column } from '../output/table.ts'
import type { Services } from '../services.ts'
import { endpointArgument } from './values.ts'
import { endpointWords, forwardState, forwardWords } from './words.ts'

const NAME = ['<name>', 'a network’s name'] as const
const WORDS = new Map([
  ['hostAddress', 'HOST'],
  ['hostPort', 'HOST:PORT'],
  ['guest', 'GUEST'],
  ['guestPort', 'GUEST:PORT'],
])

type Endpoint = ReturnType<typeof endpointArgument>

export function defineForward(net: Command, run: Run): void {
  const forward = net.command('forward').description('ports of this computer that lead to a machine in a network')
  const protocol = (): Argument => new Argument('<protocol>', 'what is forwarded').choices(['tcp', 'udp'])
  forward
    .command('add')
    .description('listen on this computer, and join what comes to a port of a machine')
    .argument(...NAME)
    .addArgument(protocol())
    .argument('<host>', 'where this computer listens, as in 8080 (loopback), 0.0.0.0:8080 or [::1]:8080', endpointArgument)
    .argument('<guest>', 'a machine or an address in the network, with the port, as in web-1:80', endpointArgument)
    .action((name: string, kind: Forward['protocol'], host: Endpoint, guest: Endpoint) =>
      run(async (cli) => {
        if (guest.host === '') throw new UsageError('Say which machine it leads to, as in web-1:80.')
        const services = await cli.host()
        const to = parseIp(guest.host) ? guest.host : (await cli.machine(services, guest.host)).id
        const wish = { protocol: kind, hostAddress: host.host || '127.0.0.1', hostPort: host.port, guest: to, guestPort: guest.port }
        const { network } = await services.networks.addForward({ name, forward: wish }).catch(inWordsOf(WORDS))
        const made = network.forwards.at(-1)!
        const view = await services.networks.get({ name })
        const nameOf = await machineNames(services)
        cli.output.result({ ...made, ...view.forwards[made.id] }, () =>
          cli.output.line(`${name}: ${forwardWords(made, nameOf)}, ${forwardState(view.forwards[made.id])}`),
        )
      }),
    )
  forward
    .command('remove')
    .description('listen there no more')
    .argument(...NAME)
    .addArgument(protocol())
    .argument('<host>', 'where this computer listens', endpointArgument)
    .argument('[guest]', 'where it leads')
    .action((name: string, kind: Forward['protocol'], host: Endpoint) =>
      run(async (cli) => {
        const { networks } = await cli.host()
        const { network } = await networks.get({ name })
        const address = host.host || '127.0.0.1'
        const found = network.forwards.find((one) => one.protocol === kind && one.hostPort === host.port && one.hostAddress === address)
        if (!found)
          throw new AppError(
            'not-found',
            `“${name}” forwards no ${kind} port ${endpointWords(address, host.port)}. coppice net forward list ${name} says what it does.`,
          )
        await networks.removeForward({ name, id: found.id })
        cli.output.result(found, () => cli.output.line(`${name}: ${kind} ${endpointWords(address, host.port)} is not forwarded any more`))
      }),
    )
  forward
    .command('list')
    .description('list what is forwarded')
    .argument(...NAME)
    .action((name: string) => run((cli) => list(cli, name)))
}

async function list(cli: Cli, name: string): Promise<void> {
  const services = await cli.host()
  const { network, forwards } = await services.networks.get({ name })
  const nameOf = await machineNames(services)
  const columns: Column<Forward>[] = [
    { title: 'PROTOCOL', cell: ({ protocol }) => protocol },
    { title: 'HOST', cell: ({ hostAddress, hostPort }) => endpointWords(hostAddress, hostPort) },
    { title: 'GUEST', cell: ({ guest, guestPort }) => endpointWords(nameOf(guest), guestPort) },
    { title: 'STATE', cell: ({ id }) => forwardState(forwards[id]) },
  ]
  const result = network.forwards.map((forward) => ({ ...forward, ...forwards[forward.id] }))
  cli.output.result(result, () => {
    if (result.length === 0)
      cli.output.note(`“${name}” forwards no ports. Add one with “coppice net forward add ${name} tcp 8080 MACHINE:80”.`)
    else cli.output.table(network.forwards, columns)
  })
}

/** Machines' names by their ids; an address is its own, and of a machine that is gone the beginning of its id. */
export async function machineNames({ machines }: Services): Promise<(guest: string) => string> {
  const names = new Map((await machines.list({})).map(({ id, name }) => [id, name]))
  return (guest) => names.get(guest) ?? (parseIp(guest) ? guest : `(gone, ${guest.slice(0, SHORT_ID)})`)
}
