import { Option, type Command } from 'commander'
import type { NetworkView } from '../../../../src-shared/api/networks.ts'
import { NETWORK_KINDS, type NetworkKind } from '../../../../src-shared/model/network.ts'
import type { Run } from '../cli.ts'
import { inWordsOf, UsageError } from '../errors.ts'
import { findMachine, SHORT_ID } from '../find-machine.ts'
import type { Column } from '../output/table.ts'
import { defineForward, machineNames } from '../net/forwards.ts'
import { alertOf, CARD, cardOf, defineCapture, defineCut, defineImpair, noAlert } from '../net/links.ts'
import { defineRouter } from '../net/routers.ts'
import { NETWORK_KEY_OF_FIELD, NETWORK_KEYS, networkPatchOf } from '../net/settable.ts'
import { KIND_WORDS, networkFacts, subnetWords } from '../net/words.ts'
import type { Define } from './index.ts'

const HELP = `
A machine’s network card is plugged into a network by its name: “create … --net NAME”, or “net connect MACHINE:NIC NAME” at any time. The network “default” is
always there; it reaches what this computer reaches. Cards are named as “coppice show” lists them, as in web-1:nic0.`

const NAME = ['<name>', 'a network’s name'] as const

export const defineNet: Define = (program, run) => {
  const net = program.command('net').description('virtual networks: make and change them, and see what flows').addHelpText('after', HELP)
  for (const define of [
    ...[defineList, defineCreate, defineShow, defineDelete, defineSet, defineForward, defineImpair],
    ...[defineCapture, defineLeases, defineConnect, defineCut, defineRouter, defineAlerts],
  ])
    define(net, run)
}

function defineList(net: Command, run: Run): void {
  const columns: Column<NetworkView>[] = [
    { title: 'NAME', cell: ({ network }) => network.name },
    { title: 'KIND', cell: ({ network }) => KIND_WORDS[network.kind] },
    { title: 'SUBNETS', cell: ({ network }) => subnetWords(network) },
    { title: 'MACHINES', cell: ({ nics }) => String(nics.length), align: 'right' },
    { title: 'CONNECTED', cell: ({ nics }) => String(nics.filter(({ connected }) => connected).length), align: 'right' },
    { title: 'PROBLEM', cell: ({ problem }) => problem?.message ?? '' },
  ]
  net
    .command('list')
    .description('list the networks')
    .action(() =>
      run(async (cli) => {
        const { networks, problem } = await (await cli.host()).networks.list({})
        if (problem) cli.output.note(problem.message)
        cli.output.result(networks, () => cli.output.table(networks, columns))
      }),
    )
}

function defineCreate(net: Command, run: Run): void {
  const words = new Map([
    ['kind', '--kind'],
    ['ipv4', '--subnet'],
    ['ipv6', '--subnet'],
  ])
  net
    .command('create')
    .description('make a network')
    .argument('<name>', 'its name: small letters, digits and hyphens')
    .addOption(new Option('--kind <kind>', 'what its machines reach').choices(NETWORK_KINDS).default('nat'))
    .option('--subnet <cidr>', 'as in 10.0.5.0/24 or fd00:5::/64, one of each; chosen by Coppice unless given', addSubnet)
    .action((name: string, { kind, subnet = [] }: { kind: NetworkKind; subnet?: string[] }) =>
      run(async (cli) => {
        const [ipv6, ipv4] = [subnet.filter((text) => text.includes(':')), subnet.filter((text) => !text.includes(':'))]
        if (ipv4.length > 1 || ipv6.length > 1) throw new UsageError('A network has one IPv4 subnet and one IPv6 subnet.')
        const wish = { name, kind, ...(ipv4[0] && { ipv4: ipv4[0] }), ...(ipv6[0] && { ipv6: ipv6[0] }) }
        const made = await (await cli.host()).networks.create(wish).catch(inWordsOf(words))
        cli.output.result(made, () => cli.output.line(`${name}: ${KIND_WORDS[kind]}, ${subnetWords(made.network, 'without a subnet')}`))
        if (made.problem && !cli.output.json) cli.output.note(made.problem.message)
      }),
    )
}

function defineShow(net: Command, run: Run): void {
  net
    .command('show')
    .description('show everything about a network')
    .argument(...NAME)
    .action((name: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const view = await host.networks.get({ name })
        const nameOf = await machineNames(host)
        cli.output.result(view, () => cli.output.facts(networkFacts(view, nameOf)))
      }),
    )
}

function defineDelete(net: Command, run: Run): void {
  net
    .command('delete')
    .description('remove a network')
    .argument(...NAME)
    .option('--unplug', 'machines that are plugged in are so no more')
    .action((name: string, { unplug = false }: { unplug?: boolean }) =>
      run(async (cli) => {
        const { networks } = await cli.host()
        await networks.remove({ name, unplug })
        cli.output.result({ name }, () => cli.output.line(`${name}: removed`))
      }),
    )
}

function defineSet(net: Command, run: Run): void {
  const keys = Object.entries(NETWORK_KEYS).map(([key, { value }]) => `  ${key.padEnd(17)} ${value}`)
  net
    .command('set')
    .description('change a network; it is so at once')
    .argument(...NAME)
    .argument('<key=value...>', 'what to change')
    .addHelpText('after', `\nKeys:\n${keys.join('\n')}`)
    .action((name: string, assignments: string[]) =>
      run(async (cli) => {
        const host = await cli.host()
        const { network } = await host.networks.get({ name })
        const machines = await host.machines.list({})
        const patch = networkPatchOf(assignments, network, (wanted) => findMachine(machines, wanted).id)
        const view = await host.networks.update({ name, patch }).catch(inWordsOf(NETWORK_KEY_OF_FIELD))
        const nameOf = await machineNames(host)
        cli.output.result(view, () => cli.output.facts(networkFacts(view, nameOf)))
      }),
    )
}

function defineLeases(net: Command, run: Run): void {
  net
    .command('leases')
    .description('list the addresses that machines have of a network')
    .argument(...NAME)
    .action((name: string) =>
      run(async (cli) => {
        const { networks } = await cli.host()
        const [leases, { nics }] = [await networks.leases({ name }), await networks.get({ name })]
        const rows = leases.map((lease) => ({ ...lease, machine: nics.find(({ mac }) => mac === lease.mac)?.name ?? null }))
        cli.output.result(rows, () => {
          if (rows.length === 0) return cli.output.note(`“${name}” has leased no addresses.`)
          cli.output.table(rows, [
            { title: 'ADDRESS', cell: ({ address }) => address },
            { title: 'MACHINE', cell: ({ machine, hostName }) => machine ?? hostName ?? '' },
            { title: 'MAC', cell: ({ mac }) => mac },
            { title: 'UNTIL', cell: ({ until }) => new Date(until).toLocaleString() },
          ])
        })
      }),
    )
}

function defineConnect(net: Command, run: Run): void {
  net
    .command('connect')
    .description('plug a machine’s network card into a network, also while it runs')
    .argument(...CARD)
    .argument('<network>', 'a network’s name, or none')
    .action((card: string, network: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const found = await cardOf(cli, host, card)
        const wish = { ...found, network: network === 'none' ? null : network }
        await host.networks.connect(wish)
        cli.output.result(wish, () => cli.output.line(`${card}: ${wish.network === null ? 'plugged into nothing' : `in ${network}`}`))
      }),
    )
}

function defineAlerts(net: Command, run: Run): void {
  net
    .command('alerts')
    .description('list what was seen in the traffic that looks like an attack, newest first')
    .option('--dismiss <alert>', 'forget one, by its id')
    .addHelpText('after', '\nThe packets that led to an alert are kept: “coppice net capture ALERT FILE” writes them into a file.')
    .action(({ dismiss }: { dismiss?: string }) =>
      run(async (cli) => {
        const host = await cli.host()
        if (dismiss !== undefined) {
          const id = (await alertOf(host, dismiss)) ?? noAlert(dismiss)
          await host.networks.dismissAlert({ id })
          return cli.output.result({ id }, () => cli.output.line(`${dismiss}: dismissed`))
        }
        const alerts = await host.networks.alerts({})
        const nameOf = await machineNames(host)
        cli.output.result(alerts, () => {
          if (alerts.length === 0) return cli.output.note('Nothing was seen since Coppice was started.')
          cli.output.table(alerts, [
            { title: 'ID', cell: ({ id }) => id.slice(0, SHORT_ID) },
            { title: 'TIME', cell: ({ at }) => new Date(at).toLocaleString() },
            { title: 'NETWORK', cell: ({ network }) => network },
            { title: 'MACHINE', cell: ({ port, mac }) => (port === null ? mac : nameOf(port.split('/')[0]!)) },
            { title: 'WHAT', cell: ({ watch }) => watch },
            { title: 'TIMES', cell: ({ count }) => String(count), align: 'right' },
            { title: 'ALERT', cell: ({ message, cut }) => `${message}${cut ? ' Its link was cut.' : ''}` },
          ])
        })
      }),
    )
}

function addSubnet(text: string, before: string[] = []): string[] {
  return [...before, text]
}
