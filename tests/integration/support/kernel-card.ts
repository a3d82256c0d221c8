/** This kernel as a machine in a network: a TAP device is its card. To be used in a network namespace of its own. */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { openTapLink } from '../../../src-main/network/link/tap/tap-link.ts'
import { NetworkService } from '../../../src-main/network/network-service.ts'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { NO_IMPAIRMENT, type Network } from '../../../src-shared/model/network.ts'
import type { CallContext } from '../../../src-shared/rpc/service.ts'
import { FrameRing, makeFrameRing } from '../../../src-shared/threads/frame-ring.ts'
import type { NetworkAlert } from '../../../src-shared/threads/network-thread.ts'

/** The device. */
export const CARD = 'card'
export const CARD_MAC = '52:54:00:00:00:01'

export interface KernelCard {
  handlers: NetworkService['handlers']
  context: CallContext
  alerts: NetworkAlert[]
}

export const ip = (...args: string[]): void => void execFileSync('ip', args)

/** What it prints, trimmed. @throws where it fails */
export const run = async (program: string, ...args: string[]): Promise<string> => (await promisify(execFile)(program, args)).stdout.trim()

/** The card is up and plugged into the network, as the port m/net0. @param address its own, if any */
export async function kernelCard(network: Network, address: string | null): Promise<KernelCard> {
  ip('link', 'set', 'lo', 'up')
  ip('tuntap', 'add', 'dev', CARD, 'mode', 'tap')
  ip('link', 'set', CARD, 'address', CARD_MAC)
  if (address) ip('addr', 'add', address, 'dev', CARD)
  ip('link', 'set', CARD, 'up')
  const context: CallContext = { signal: new AbortController().signal, peer: { kind: 'test' } }
  const { handlers } = new NetworkService(threadUrl('tap'))
  const alerts: NetworkAlert[] = []
  handlers.alert((alert) => alerts.push(alert))
  await handlers.configure({ networks: [network], routers: [], names: {} }, context)
  const buffer = makeFrameRing()
  const ring = new FrameRing(buffer, 'machine')
  const tap = await openTapLink(
    CARD,
    threadUrl('tap'),
    (frame) => void ring.send(frame),
    () => {},
  )
  ring.watch((frame) => void tap.send(frame), setImmediate)
  const machine = '00000000-0000-4000-8000-000000000001'
  const plug = { port: 'm/net0', network: network.name, machine, name: 'web', nic: 'net0', mac: CARD_MAC }
  await handlers.plug(
    { ...plug, link: { kind: 'ring', ring: buffer }, counters: null, impairment: NO_IMPAIRMENT, cut: false, private: false },
    context,
  )
  return { handlers, context, alerts }
}
