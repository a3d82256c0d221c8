/** Worse links as they are measured, through the network thread with cards in shared memory: what is set is what comes out. Others may use this computer meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { NO_IMPAIRMENT, type Impairment } from '../../../src-shared/model/network.ts'
import { until } from '../../support/until.ts'
import { networkOf, RingCard, startNetworkThread, type NetworkApi } from '../support/network-thread.ts'

const HEADER = 14

let api: NetworkApi
let a: RingCard
let b: RingCard

beforeEach(async () => {
  ;({ api } = startNetworkThread())
  await api.configure({ networks: [networkOf('one')], routers: [], names: {} })
  ;[a, b] = [new RingCard(1, 'one'), new RingCard(2, 'one')]
  await api.plug(a.plug)
  await api.plug(b.plug)
  // Both are known to the switch.
  a.sendTo(b.mac, Buffer.of(1))
  await until(() => b.got.length === 1)
  b.sendTo(a.mac, Buffer.of(1))
  await until(() => a.got.length === 1)
  a.got.length = b.got.length = 0
})

const impair = (impairment: Partial<Impairment>): Promise<void> =>
  api.setPort({ port: a.plug.port, impairment: { ...NO_IMPAIRMENT, ...impairment } })

/** ms of a frame there and its answer. */
async function trip(): Promise<number> {
  const from = performance.now()
  return new Promise((resolve) => {
    b.onFrame = () => void b.sendTo(a.mac, Buffer.alloc(50))
    a.onFrame = () => resolve(performance.now() - from)
    a.sendTo(b.mac, Buffer.alloc(50))
  })
}

/** The quickest of many: what else this computer does only adds to it. */
async function quickest(trips: number): Promise<number> {
  let least = Infinity
  for (let count = 0; count < trips; count++) least = Math.min(least, await trip())
  return least
}

/** Bits per second that come out of a line that is never idle: what it has no room for is dropped. */
async function measuredRate(): Promise<number> {
  const payload = 1486
  const times: number[] = []
  b.onFrame = () => void times.push(performance.now())
  const end = performance.now() + 2500
  while (performance.now() < end) {
    for (let count = 0; count < 40; count++) a.sendTo(b.mac, Buffer.alloc(payload))
    await sleep(4)
  }
  const took = times.at(-1)! - times[0]!
  expect(took).toBeGreaterThan(2000)
  return ((times.length - 1) * (payload + HEADER) * 8 * 1000) / took
}

test('a rate is kept within 3 %', async () => {
  const rate = 20_000_000
  await impair({ rate })
  let off = Infinity
  // A computer that had no time for this process for as long as the line has frames let it fall idle: then it is measured again.
  for (let tries = 0; tries < 3 && off > 0.03; tries++) off = Math.abs((await measuredRate()) / rate - 1)
  expect(off).toBeLessThan(0.03)
})

test.each([5, 40, 200])('a delay of %i ms is kept within 2 ms and 3 percent', async (delay) => {
  const without = await quickest(50)
  await impair({ delay })
  const delayed = await quickest(10)
  expect(delayed).toBeGreaterThanOrEqual(2 * delay)
  expect(delayed - without).toBeLessThan(2 * (delay * 1.03 + 2))
})

test.each([1, 10, 50])('a loss of %i percent is kept within its sampling error', async (loss) => {
  const frames = 20_000
  await impair({ loss, seed: 3 })
  for (let sent = 0; sent < frames; sent++) {
    while (!a.sendTo(b.mac, Buffer.alloc(50))) await sleep(1)
    // The ring holds a few hundred.
    if (sent % 100 === 99) await passed(sent + 1)
  }
  const share = loss / 100
  expect(Math.abs(frames - b.got.length - frames * share)).toBeLessThan(4 * Math.sqrt(frames * share * (1 - share)))
})

/** So many frames came or were lost. */
async function passed(frames: number): Promise<void> {
  await until(async () => {
    const state = (await api.state({})).ports.find(({ port }) => port === a.plug.port)!
    return state.lost + b.got.length >= frames
  })
}
