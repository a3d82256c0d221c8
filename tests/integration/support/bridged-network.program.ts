/**
 * A bridged network and this kernel at the other end of it. To be run in a network namespace of its own: it makes and removes devices. Prints what it found, a line of JSON.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { NetworkService } from '../../../src-main/network/network-service.ts'
import { ARP } from '../../../src-main/network/codec/arp.ts'
import { ICMP } from '../../../src-main/network/codec/icmp.ts'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { networkSchema, NO_IMPAIRMENT } from '../../../src-shared/model/network.ts'
import type { CallContext } from '../../../src-shared/rpc/service.ts'
import { FrameRing, makeFrameRing } from '../../../src-shared/threads/frame-ring.ts'
import { arpFrame, icmpFrame } from '../../support/frames.ts'
import { until } from '../../support/until.ts'

const ip = (...args: string[]): void => void execFileSync('ip', args)
const context: CallContext = { signal: new AbortController().signal, peer: { kind: 'test' } }
const found: Record<string, unknown> = {}
const service = new NetworkService(threadUrl('tap'))
const { handlers } = service
const buffer = makeFrameRing()
const ring = new FrameRing(buffer, 'machine')
const got: Buffer[] = []
ring.watch((frame) => got.push(Buffer.from(frame)), setImmediate)
const mac = '52:54:00:00:00:07'

async function configure(hostInterface: string | null): Promise<void> {
  const network = networkSchema.parse({ name: 'home', kind: 'bridged', hostInterface })
  await handlers.configure({ networks: [network], routers: [], names: {} }, context)
}

async function problem(): Promise<string | null> {
  return (await handlers.state({}, context)).networks[0]!.problem?.message ?? null
}

/** Whether the kernel's address answers ARP and a ping. */
async function reach(host: string, own: string): Promise<string> {
  got.length = 0
  const reply = (): Buffer | undefined => got.find((frame) => frame.readUInt16BE(12) === 0x0806 && frame.readUInt16BE(20) === ARP.reply)
  await until(
    () => (ring.send(arpFrame({ from: own, to: host, fromMac: mac, toMac: 'ff:ff:ff:ff:ff:ff' }, ARP.request)), reply() !== undefined),
  )
  const toMac = reply()!
    .subarray(6, 12)
    .toString('hex')
    .replace(/..(?!$)/g, '$&:')
  const asked = { type: ICMP.echoRequest, rest: 0x0001_0001, body: Buffer.alloc(1000, 7) }
  await until(
    () => (
      ring.send(icmpFrame({ from: own, to: host, fromMac: mac, toMac }, asked)),
      got.some((frame) => frame[23] === 1 && frame[34] === 0)
    ),
  )
  return 'answers'
}

ip('link', 'set', 'lo', 'up')
await configure(null)
await until(async () => (await problem()) !== null)
found['without a way out'] = await problem()
const plug = { port: 'm/net0', network: 'home', machine: '00000000-0000-4000-8000-000000000001', name: 'web', nic: 'net0', mac }
await handlers.plug(
  { ...plug, link: { kind: 'ring', ring: buffer }, counters: null, impairment: NO_IMPAIRMENT, cut: false, private: false },
  context,
)

ip('link', 'add', 'br0', 'type', 'bridge')
ip('addr', 'add', '10.9.0.1/24', 'dev', 'br0')
ip('link', 'set', 'br0', 'up')
await configure('br0')
found['a bridge'] = await reach('10.9.0.1', '10.9.0.7')
found['joined'] = { problem: await problem(), device: existsSync('/sys/class/net/coppice0') }

ip('tuntap', 'add', 'dev', 'tap9', 'mode', 'tap')
ip('addr', 'add', '10.9.1.1/24', 'dev', 'tap9')
ip('link', 'set', 'tap9', 'up')
await configure('tap9')
found['a device that was made before'] = await reach('10.9.1.1', '10.9.1.7')
await until(() => !existsSync('/sys/class/net/coppice0'))

ip('link', 'del', 'tap9')
await until(async () => (await problem()) !== null)
found['the device is gone'] = await problem()
service.dispose()
ring.dispose()
console.log(JSON.stringify(found))
