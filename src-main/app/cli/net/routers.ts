/** `coppice net router`: what hands packets from one network to another. */
import { InvalidArgumentError, type Command } from 'commander'
import type { RouterView } from '../../../../src-shared/api/networks.ts'
import { learningOf } from '../../../../src-shared/model/router-interfaces.ts'
import type { Router } from '../../../../src-shared/model/network.ts'
import type { Run } from '../cli.ts'
import { inWordsOf } from '../errors.ts'
import type { Column } from '../output/table.ts'

type Interface = Router['interfaces'][number]

const WORDS = new Map([['interfaces', 'NETWORK']])

export function defineRouter(net: Command, run: Run): void {
  const router = net.command('router').description('routers between networks')
  router
    .command('set')
    .description('make a router, or put it into other networks')
    .argument('<name>', 'its name: small letters, digits and hyphens')
    .argument('<network...>', 'its networks; with addresses of its own as in lab=10.0.5.254,fd00:5::fe, else chosen', addInterface)
    .action((name: string, interfaces: Interface[]) =>
      run(async (cli) => {
        const { networks } = await cli.host()
        const made = await networks.putRouter({ name, interfaces }).catch(inWordsOf(WORDS))
        cli.output.result(made, () => cli.output.line(`${name}: ${routerWords(made.router)}`))
        if (cli.output.json) return
        if (made.problem) cli.output.note(made.problem.message)
        const views = (await networks.list({})).networks
        for (const sentence of learningOf(
          made.router,
          views.map(({ network }) => network),
        ))
          cli.output.note(sentence)
      }),
    )
  router
    .command('delete')
    .description('remove a router')
    .argument('<name>', 'a router’s name')
    .action((name: string) =>
      run(async (cli) => {
        await (await cli.host()).networks.removeRouter({ name })
        cli.output.result({ name }, () => cli.output.line(`${name}: removed`))
      }),
    )
  router
    .command('list')
    .description('list the routers')
    .action(() =>
      run(async (cli) => {
        const { routers } = await (await cli.host()).networks.list({})
        const columns: Column<RouterView>[] = [
          { title: 'NAME', cell: (view) => view.router.name },
          { title: 'NETWORKS', cell: (view) => routerWords(view.router) },
          { title: 'PROBLEM', cell: ({ problem }) => problem?.message ?? '' },
        ]
        cli.output.result(routers, () => {
          if (routers.length === 0) cli.output.note('There are no routers. Make one with “coppice net router set NAME NETWORK NETWORK”.')
          else cli.output.table(routers, columns)
        })
      }),
    )
}

function addInterface(text: string, before: Interface[] = []): Interface[] {
  const [network = '', addresses = ''] = text.split('=')
  const given = addresses === '' ? [] : addresses.split(',')
  const [six, four] = [given.filter((one) => one.includes(':')), given.filter((one) => !one.includes(':'))]
  if (four.length > 1 || six.length > 1) throw new InvalidArgumentError(`“${text}” has several addresses of one kind.`)
  return [...before, { network, ipv4: four[0] ?? null, ipv6: six[0] ?? null }]
}

function routerWords({ interfaces }: Router): string {
  return interfaces.map(({ network, ipv4, ipv6 }) => [network, ...[ipv4, ipv6].filter((address) => address !== null)].join(' ')).join('; ')
}
