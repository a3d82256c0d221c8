/** A network thread of its own, and cards that are plugged into it: the other ends of their rings are here. */
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { threadUrl } from '../../../src-main/threads/thread-url.ts'
import { networkSchema, NO_IMPAIRMENT, type Network } from '../../../src-shared/model/network.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { FrameRing, makeFrameRing } from '../../../src-shared/threads/frame-ring.ts'
import { networkThread, type FrameLink, type Plug } from '../../../src-shared/threads/network-thread.ts'
import { parseMac, writeEthernet } from '../../../src-main/network/codec/ethernet.ts'

export type NetworkApi = Client<typeof networkThread>

/** @param entry of a thread with something more */
export function startNetworkThread(entry = threadUrl('network')) {
  const worker = new Worker(entry)
  onTestFinished(() => worker.terminate().then(() => {}))
  const rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  return { worker, api: rpc.service(networkThread) }
}

/** A network as a document has it: a segment unless told otherwise. */
export function networkOf(name: string, more: Record<string, unknown> = {}): Network {
  return networkSchema.parse({ name, kind: 'segment', ...more })
}

/** A machine's card, `number` from 1. */
export function plugOf(number: number, network: string, link: FrameLink, more: Partial<Plug> = {}): Plug {
  const machine = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
  const mac = (0x5254_0100_0000 + number).toString(16).replace(/..(?!$)/g, '$&:')
  return {
    port: `${machine}/net0`,
    network,
    machine,
    name: `machine-${number}`,
    nic: 'net0',
    mac,
    link,
    counters: null,
    impairment: NO_IMPAIRMENT,
    cut: false,
    private: false,
    ...more,
  }
}

/** A card in shared memory: what comes to it is kept in `got`. */
export class RingCard {
  readonly buffer = makeFrameRing()
  readonly got: Buffer[] = []
  readonly plug: Plug
  readonly mac: number
  /** Sees each frame that comes, too. */
  onFrame: ((frame: Uint8Array) => void) | null = null
  #ring = new FrameRing(this.buffer, 'machine')

  constructor(number: number, network: string, more: Partial<Plug> = {}) {
    this.plug = plugOf(number, network, { kind: 'ring', ring: this.buffer }, more)
    this.mac = parseMac(this.plug.mac)
    this.#ring.watch((frame) => {
      this.got.push(Buffer.from(frame))
      this.onFrame?.(frame)
    }, setImmediate)
    onTestFinished(() => this.#ring.dispose())
  }

  send(frame: Uint8Array): boolean {
    return this.#ring.send(frame)
  }

  /** Bytes of a test protocol to an address. */
  sendTo(to: number, bytes: Uint8Array): boolean {
    const frame = new Uint8Array(14 + bytes.length)
    writeEthernet(frame, to, this.mac, 0x88b5)
    frame.set(bytes, 14)
    return this.send(frame)
  }
}
