/**
 * A machine's TCP through gateway and NAT to a server on the host's loopback, without a guest: what the NAT itself can move. Beside it a plain socket that does the same. Published for
 * this way on other computers: slirp4netns 1.7 and gvisor-tap-vsock 2.5 Gbit/s at MTU 1500.
 */
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'
import { REAL_CLOCK } from '../../../src-main/network/clock.ts'
import { Gateway } from '../../../src-main/network/gateway/gateway.ts'
import { UserNat } from '../../../src-main/network/nat/user-nat.ts'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { parseSubnet } from '../../../src-shared/model/ip.ts'
import { networkSchema } from '../../../src-shared/model/network.ts'
import type { Figure } from '../figure.ts'
import { FastGuest, GATEWAY } from '../support/fast-guest.ts'

const RUNS = 5
const BYTES = 1_000_000_000
const MTUS = [1500, 65_520]
const POUR = 1
const SWALLOW = 2

export async function networkNatFigures(): Promise<Figure[]> {
  const worker = new Worker(new URL('../support/socket-ends.thread.ts', import.meta.url))
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  try {
    const figures: Figure[] = []
    for (const mtu of MTUS)
      for (const [name, guest, plain] of [
        ['out of a machine', sendThroughNat, sendPlainly],
        ['into a machine', readThroughNat, readPlainly],
      ] as const) {
        const values: number[] = []
        const anchor: number[] = []
        // The first round warms up and does not count.
        for (let run = 0; run <= RUNS; run++) {
          const [ours, theirs] = [await gigabits(() => guest(port, mtu)), await gigabits(() => plain(port))]
          if (run === 0) continue
          values.push(ours)
          anchor.push(theirs)
        }
        const target = mtu === 1500 ? '≥ 5 Gbit/s' : undefined
        figures.push({
          ...{ name: `NAT, ${name}, MTU ${mtu}`, unit: 'Gbit/s', values, anchor: { name: 'plain socket', values: anchor } },
          ...(target === undefined ? {} : { target }),
        })
      }
    return figures
  } finally {
    await worker.terminate()
  }
}

async function gigabits(move: () => Promise<void>): Promise<number> {
  const from = performance.now()
  await move()
  return (BYTES * 8) / ((performance.now() - from) * 1e6)
}

/** As the network thread joins them; the guest is on the gateway's own wire. */
function natFor(guest: FastGuest): Disposable {
  const network = networkSchema.parse({ name: 'bench', ipv4: '10.0.2.0/24', mtu: guest.mtu })
  const gateway = new Gateway({ network, board: guest, clock: REAL_CLOCK, warn() {} })
  guest.gatewayMac = gateway.mac
  const nat = new UserNat(gateway.output, REAL_CLOCK, {
    ...{ kind: 'nat', gateway: { ipv4: GATEWAY, ipv6: null }, subnets: [parseSubnet('10.0.2.0/24')!] },
    ...{ hostAccess: true, linkLocalAccess: false },
  })
  gateway.outside = nat
  const both = new DisposableStore()
  both.add(gateway)
  both.add(nat)
  return both
}

function throughNat(port: number, mtu: number, kind: number, done: (guest: FastGuest) => boolean): Promise<void> {
  const guest = new FastGuest(mtu, kind)
  const nat = natFor(guest)
  return new Promise((resolve) => {
    guest.onProgress = () => {
      if (!done(guest)) return
      guest.onProgress = () => {}
      guest.close()
      nat.dispose()
      resolve()
    }
    guest.connect(port, kind === POUR ? 1 : BYTES)
  })
}

const sendThroughNat = (port: number, mtu: number): Promise<void> => throughNat(port, mtu, SWALLOW, ({ acked }) => acked >= BYTES)

/** One byte asks for all. */
const readThroughNat = (port: number, mtu: number): Promise<void> => throughNat(port, mtu, POUR, ({ received }) => received >= BYTES)

function sendPlainly(port: number): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, SWALLOW)
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    let left = BYTES
    const push = (): void => {
      for (; left > 0; left -= chunk.length) if (!socket.write(chunk)) break
      if (left <= 0) socket.end()
      left -= chunk.length
    }
    socket
      .on('connect', push)
      .on('drain', push)
      .on('data', () => {})
      .on('close', () => resolve())
      .on('error', reject)
  })
}

function readPlainly(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0
    const callback = (bytes: number): boolean => {
      received += bytes
      if (received >= BYTES) socket.destroy()
      return true
    }
    const socket = connect({ port, host: '127.0.0.1', onread: { buffer: Buffer.alloc(64 * 1024), callback } })
    socket.on('connect', () => socket.write(Buffer.of(POUR)))
    socket.on('close', () => resolve()).on('error', reject)
  })
}
