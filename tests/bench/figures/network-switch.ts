/** The switch alone, in one thread; and the network thread with cards in shared memory: what a hop adds, what passes in a second, and what a thousand idle machines cost. */
import { Worker } from 'node:worker_threads'
import { setTimeout as sleep } from 'node:timers/promises'
import { Captures } from '../../../src-main/network/capture/captures.ts'
import { REAL_CLOCK } from '../../../src-main/network/clock.ts'
import { BROADCAST, formatMac, writeEthernet } from '../../../src-main/network/codec/ethernet.ts'
import { Switch } from '../../../src-main/network/switch/switch.ts'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { networkSchema, NO_IMPAIRMENT } from '../../../src-shared/model/network.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { FrameRing, makeFrameRing } from '../../../src-shared/threads/frame-ring.ts'
import { networkThread } from '../../../src-shared/threads/network-thread.ts'
import type { Figure } from '../figure.ts'
import { cpuShare } from '../support/process-cpu.ts'

const RUNS = 5
const PORTS = 1000
/** Frames of a run through the switch, and through rings. */
const SWITCHED = 2_000_000
const RUNG = 300_000
const TRIPS = 5000
const IDLE_MS = 5000
const SMALL = 60
const FULL = 1514

export async function networkSwitchFigures(): Promise<Figure[]> {
  return [...switchFigures(), ...(await threadFigures())]
}

function switchFigures(): Figure[] {
  const values: [number[], number[]] = [[], []]
  const captures = new Captures()
  for (let run = 0; run <= RUNS; run++)
    for (const kept of [false, true]) {
      const rate = switched(kept ? captures : null)
      if (run > 0) values[kept ? 1 : 0].push(rate / 1e6)
    }
  const name = `Switch with ${PORTS} ports, frames of ${SMALL} bytes between all of them`
  return [
    { name, unit: 'M frames/s', values: values[0], target: '≥ 1 M frames/s' },
    { name: `${name}, each kept at both ports`, unit: 'M frames/s', values: values[1] },
  ]
}

/** Frames per second. */
function switched(captures: Captures | null): number {
  const lan = new Switch(REAL_CLOCK)
  let got = 0
  const ports = Array.from({ length: PORTS }, (_, at) => {
    const port = lan.plug(`${at}`, () => ++got > 0)
    if (captures) {
      captures.put({ port: port.id, network: 'one', name: port.id, mac: '52:54:00:00:00:01' }, 256 * 1024)
      port.tap = (id, frame, direction) => captures.see(id, frame, direction)
    }
    return port
  })
  const macOf = (at: number): number => 0x5254_0000_0000 + at * 7919
  for (const [at, port] of ports.entries()) port.send(frameOf(BROADCAST, macOf(at), SMALL))
  const frames = ports.map((_, at) => frameOf(macOf((at * 37 + 1) % PORTS), macOf(at), SMALL))
  got = 0
  const from = performance.now()
  for (let count = 0; count < SWITCHED; count++) ports[count % PORTS]!.send(frames[count % PORTS]!)
  const seconds = (performance.now() - from) / 1000
  if (got < SWITCHED * 0.99) throw new Error(`Of ${SWITCHED} frames ${got} came.`)
  lan.dispose()
  return SWITCHED / seconds
}

async function threadFigures(): Promise<Figure[]> {
  const worker = new Worker(threadUrl('network'))
  const rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  const thread = rpc.service(networkThread)
  try {
    const network = networkSchema.parse({ name: 'one', kind: 'segment', captureBytes: 0 })
    await thread.configure({ networks: [network], routers: [], names: {} })
    let taken = 0
    const cards: Card[] = []
    for (let number = 1; number <= 2; number++) cards.push(await plug(thread, number, () => taken++))
    const [a, b] = cards as [Card, Card]
    const figures: Figure[] = []
    for (const length of [SMALL, FULL]) {
      const values: number[] = []
      const frame = frameOf(b.mac, a.mac, length)
      b.ring.send(frameOf(BROADCAST, b.mac, SMALL))
      for (let run = 0; run <= RUNS; run++) {
        taken = 0
        const from = performance.now()
        // At most half a ring's worth under way, so that nothing is dropped.
        for (let sent = 0; taken < RUNG; await new Promise((resolve) => setImmediate(resolve)))
          for (; sent < RUNG && sent - taken < 300; sent++) a.ring.send(frame)
        const seconds = (performance.now() - from) / 1000
        if (run > 0) values.push(length === SMALL ? RUNG / seconds / 1e6 : (RUNG * length * 8) / seconds / 1e9)
      }
      const what = length === SMALL ? { unit: 'M frames/s' } : { unit: 'Gbit/s' }
      figures.push({ name: `Ring to switch to ring in another thread, frames of ${length} bytes`, ...what, values })
    }
    figures.push({ name: 'There and back through the network thread', unit: 'µs', values: await trips(a, b) })
    for (let number = 3; number <= PORTS; number++) await plug(thread, number, () => {})
    await sleep(1000)
    const idle: number[] = []
    for (let run = 0; run < 3; run++) idle.push(await cpuShare(process.pid, IDLE_MS))
    figures.push({ name: `${PORTS} machines plugged in, nothing passes`, unit: '% of a core', values: idle, target: 'near 0' })
    return figures
  } finally {
    rpc.dispose()
    await worker.terminate()
  }
}

/** µs of one frame to the other card and its answer; the median of each run. */
async function trips(a: Card, b: Card): Promise<number[]> {
  const [ask, answer] = [frameOf(b.mac, a.mac, SMALL), frameOf(a.mac, b.mac, SMALL)]
  const values: number[] = []
  for (let run = 0; run <= RUNS; run++) {
    const times: number[] = []
    for (let trip = 0; trip < TRIPS; trip++) {
      const from = performance.now()
      await new Promise<void>((resolve) => {
        b.onFrame = () => void b.ring.send(answer)
        a.onFrame = resolve
        a.ring.send(ask)
      })
      times.push((performance.now() - from) * 1000)
    }
    if (run > 0) values.push(times.sort((one, other) => one - other)[TRIPS / 2]!)
  }
  return values
}

interface Card {
  ring: FrameRing
  mac: number
  onFrame: () => void
}

async function plug(thread: Client<typeof networkThread>, number: number, onFrame: () => void): Promise<Card> {
  const buffer = makeFrameRing()
  const card: Card = { ring: new FrameRing(buffer, 'machine'), mac: 0x5254_0000_0000 + number, onFrame }
  card.ring.watch(() => card.onFrame(), setImmediate)
  const machine = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
  await thread.plug({
    ...{ port: `${machine}/net0`, network: 'one', machine, name: `machine-${number}`, nic: 'net0', mac: formatMac(card.mac) },
    ...{ link: { kind: 'ring', ring: buffer }, counters: null, impairment: NO_IMPAIRMENT, cut: false, private: true },
  })
  return card
}

function frameOf(to: number, from: number, length: number): Uint8Array {
  const frame = new Uint8Array(length)
  writeEthernet(frame, to, from, 0x88b5)
  return frame
}
