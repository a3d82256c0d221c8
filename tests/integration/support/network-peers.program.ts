/**
 * This kernel as a machine in a NAT network, by a TAP device in the place of its card, and programs that others wrote, which ask the network's services and scan its gateway. To be
 * run in a network namespace of its own: it makes a device. The capture is kept where the first argument says. Prints what it found, a line of JSON.
 */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { openTapLink } from '../../../src-main/network/link/tap/tap-link.ts'
import { NetworkService } from '../../../src-main/network/network-service.ts'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { networkSchema, NO_IMPAIRMENT } from '../../../src-shared/model/network.ts'
import type { CallContext } from '../../../src-shared/rpc/service.ts'
import { FrameRing, makeFrameRing } from '../../../src-shared/threads/frame-ring.ts'
import type { NetworkAlert } from '../../../src-shared/threads/network-thread.ts'
import { until } from '../../support/until.ts'

const MAC = '52:54:00:00:00:01'
const GATEWAY = '10.7.0.1'
const GATEWAY6 = 'fd07::1'
const NAME = 'db.lab.internal'

const ip = (...args: string[]): void => void execFileSync('ip', args)
const run = async (program: string, ...args: string[]): Promise<string> => (await promisify(execFile)(program, args)).stdout.trim()
const context: CallContext = { signal: new AbortController().signal, peer: { kind: 'test' } }
const found: Record<string, unknown> = {}

ip('link', 'set', 'lo', 'up')
ip('tuntap', 'add', 'dev', 'card', 'mode', 'tap')
ip('link', 'set', 'card', 'address', MAC)
ip('addr', 'add', '10.7.0.50/24', 'dev', 'card')
ip('link', 'set', 'card', 'up')

const { handlers } = new NetworkService(threadUrl('tap'))
const alerts: NetworkAlert[] = []
handlers.alert((alert) => alerts.push(alert))
const records = [
  { type: 'A', name: NAME, value: '10.7.0.99' },
  { type: 'AAAA', name: NAME, value: 'fd07::99' },
]
const network = networkSchema.parse({ name: 'lab', kind: 'nat', ipv4: '10.7.0.0/24', ipv6: 'fd07::/64', dns: { records } })
await handlers.configure({ networks: [network], routers: [], names: {} }, context)
const buffer = makeFrameRing()
const ring = new FrameRing(buffer, 'machine')
const tap = await openTapLink(
  'card',
  threadUrl('tap'),
  (frame) => void ring.send(frame),
  () => {},
)
ring.watch((frame) => void tap.send(frame), setImmediate)
const plug = { port: 'm/net0', network: 'lab', machine: '00000000-0000-4000-8000-000000000001', name: 'web', nic: 'net0', mac: MAC }
await handlers.plug(
  { ...plug, link: { kind: 'ring', ring: buffer }, counters: null, impairment: NO_IMPAIRMENT, cut: false, private: false },
  context,
)

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
