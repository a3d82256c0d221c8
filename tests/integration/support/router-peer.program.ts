/**
 * This kernel as a machine in a host-only network, whose default route for IPv4 was set by hand; a router to another network is drawn and taken away while it runs. To be run in a
 * network namespace of its own. Prints what it found, a line of JSON.
 */
import { networkSchema } from '../../../src-shared/model/network.ts'
import { until } from '../../support/until.ts'
import { ip, kernelCard, run } from './kernel-card.ts'

const networks = [
  networkSchema.parse({ name: 'lab', kind: 'host-only', ipv4: '10.7.0.0/24', ipv6: 'fd07::/64' }),
  networkSchema.parse({ name: 'far', kind: 'host-only', ipv4: '10.8.0.0/24', ipv6: 'fd08::/64' }),
]
const edge = {
  name: 'edge',
  interfaces: [
    { network: 'lab', ipv4: '10.7.0.254', ipv6: 'fd07::fe' },
    { network: 'far', ipv4: '10.8.0.254', ipv6: 'fd08::fe' },
  ],
}
const answers = (address: string): Promise<boolean> =>
  run('ping', '-c', '1', '-W', '1', address).then(
    () => true,
    () => false,
  )
/** Of the other network: its gateway, and the router there. */
const reached = async (): Promise<boolean[]> => {
  const found: boolean[] = []
  for (const address of ['10.8.0.1', '10.8.0.254', 'fd08::1', 'fd08::fe']) found.push(await answers(address))
  return found
}
/** Which way it knows to everything by IPv6. */
const ways = async (): Promise<string> => /pref \w+/.exec(await run('ip', '-6', 'route', 'show', 'default'))?.[0] ?? 'none'

const found: Record<string, unknown> = {}
const { handlers, context } = await kernelCard(networks[0]!, '10.7.0.50/24')
ip('route', 'add', 'default', 'via', '10.7.0.1')
await handlers.configure({ networks, routers: [], names: {} }, context)
await until(() => answers('fd07::1'))
found['before'] = [await reached(), await ways()]
await handlers.configure({ networks, routers: [edge], names: {} }, context)
await until(async () => (await ways()) !== 'none')
// On a busy computer the first may be late.
await until(async () => !(await reached()).includes(false))
found['drawn'] = await ways()
await handlers.configure({ networks, routers: [], names: {} }, context)
await until(async () => (await ways()) === 'none')
found['gone'] = [await reached(), await ways()]
console.log(JSON.stringify(found))
process.exit(0)
