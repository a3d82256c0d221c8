/** A block port over bytes in memory, with faults on request. */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../../src-shared/threads/block-port.ts'
import type { BlockClient } from '../../../src-main/engines/engine.ts'
import type { BlockDevice } from '../../../src-main/storage/block-device.ts'
import { serveBlock } from '../../../src-main/storage/serve-block.ts'

export class MemoryDisk implements Disposable {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly readOnly: boolean
  /** Goes to the engine's thread. */
  readonly port: MessagePort
  /** What was asked for, in order: "read 0 512", "write 512 4096", "flush". */
  readonly requests: string[] = []
  /** Set, every read or write that touches this byte fails. */
  badByte: number | null = null
  #close: () => void

  constructor(bytes: Uint8Array<ArrayBuffer>, readOnly = false) {
    this.bytes = bytes
    this.readOnly = readOnly
    const { port1, port2 } = new MessageChannel()
    const device: Pick<BlockDevice, 'info' | 'read' | 'write' | 'flush' | 'close'> = {
      info: { size: bytes.length, readOnly, format: 'raw' },
      read: async (offset, into) => {
        this.#note('read', offset, into.length)
        into.set(bytes.subarray(offset, offset + into.length))
      },
      write: async (offset, written) => {
        this.#note('write', offset, written.length)
        bytes.set(written, offset)
      },
      flush: async () => void this.requests.push('flush'),
      close: async () => {},
    }
    const served = serveBlock(device, port1, () => {})
    this.port = port2
    this.#close = () => void served.close()
  }

  /** For tests that need no thread between. */
  client(): BlockClient & Disposable {
    const rpc = new RpcClient(portWire(nodePort(this.port, 'close', () => this.port.close())))
    return Object.assign(rpc.service(blockPort), { dispose: () => rpc.dispose() })
  }

  dispose(): void {
    this.#close()
  }

  #note(kind: string, offset: number, length: number): void {
    this.requests.push(`${kind} ${offset} ${length}`)
    if (this.badByte !== null && this.badByte >= offset && this.badByte < offset + length) throw new Error('bad sector')
  }
}
