/** A guest’s disk that is written sector after sector, without waiting, until this thread is ended; `taken` counts those that the guest was told are written. */
import { workerData, type MessagePort } from 'node:worker_threads'
import { BlockDisk } from '../../../src-main/engines/embedded/block-disk.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../../src-shared/threads/block-port.ts'
import { Counters } from '../../../src-shared/threads/counters.ts'

const { port, taken, size } = workerData as { port: MessagePort; taken: Int32Array; size: number }
const blocks = new RpcClient(portWire(nodePort(port, 'close', () => port.close()))).service(blockPort)
const disk = await BlockDisk.open(blocks, { sectorSize: 512, counters: new Counters(), onError: (error) => console.error(error) })
for (let sector = 0; sector < size / 512; sector++) {
  await new Promise<void>((resolve) => disk.set(sector * 512, new Uint8Array(512).fill(1 + (sector % 250)), resolve))
  Atomics.store(taken, 0, sector + 1)
  if (sector === 0) Atomics.notify(taken, 0)
}
