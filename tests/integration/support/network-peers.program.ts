/**
 * This kernel as a machine in a NAT network, by a TAP device in the place of its card, and programs that others wrote, which ask the network's services and scan its gateway. To be
 * run in a network namespace of its own: it makes a device. The capture is kept where the first argument says. Prints what it found, a line of JSON.
 */
import { networkSchema } from '../../../src-shared/model/network.ts'
import { until } from '../../support/until.ts'
import { kernelCard, run } from './kernel-card.ts'

const GATEWAY = '10.7.0.1'
const GATEWAY6 = 'fd07::1'
const NAME = 'db.lab.internal'

const found: Record<string, unknown> = {}
const records = [
  { type: 'A', name: NAME, value: '10.7.0.99' },
  { type: 'AAAA', name: NAME, value: 'fd07::99' },
]
const network = networkSchema.parse({ name: 'lab', kind: 'nat', ipv4: '10.7.0.0/24', ipv6: 'fd07::/64', dns: { records } })
const { handlers, context, alerts } = await kernelCard(network, '10.7.0.50/24')

// It has an address by the network's advertisement as soon as nobody else was found to have it.
const answers = (address: string): Promise<boolean> =>
  run('ping', '-c', '1', '-W', '1', address).then(
    () => true,
    () => false,
  )
await until(() => answers(GATEWAY6))
found['ping'] = await answers(GATEWAY)
found['dig'] = await run('dig', '+short', `@${GATEWAY}`, NAME, 'A')
found['dig by TCP'] = await run('dig', '+short', '+tcp', `@${GATEWAY}`, NAME, 'A')
found['dig by IPv6'] = await run('dig', '+short', `@${GATEWAY6}`, NAME, 'AAAA')
found['dig for nobody'] = /status: (\w+)/.exec(await run('dig', `@${GATEWAY}`, 'nobody.lab.internal'))?.[1]
found['alerts before the scan'] = alerts.length
const scan = await run('nmap', '-n', '-Pn', '-sT', '-p', '1-200', '--open', '-oG', '-', GATEWAY)
found['nmap'] = /Ports: ([^\t\n]*)/.exec(scan)?.[1]
await until(() => alerts.length > 0)
found['alert'] = { watch: alerts[0]!.watch, port: alerts[0]!.port }
await handlers.capture({ target: { network: 'lab' }, path: process.argv[2]!, last: 3_600_000, duration: null }, context)
console.log(JSON.stringify(found))
process.exit(0)
