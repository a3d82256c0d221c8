/** A disk in memory on a thread of its own, served twice: by a ring of blocks, and (the anchor) by messages that carry the bytes. */
import { workerData, type MessagePort } from 'node:worker_threads'
import { serveBlock } from '../../../src-main/storage/serve-block.ts'

export interface BlockServerData {
  ring: MessagePort
  messages: MessagePort
  size: number
}

/** What is asked for by message; a read is answered with the bytes, a write with nothing. */
export interface BlockMessage {
  id: number
  offset: number
  /** Of a read. */
  length: number
  bytes: Uint8Array<ArrayBuffer> | null
}

const { ring, messages, size } = workerData as BlockServerData
const disk = new Uint8Array(size).fill(1)
const device = {
  info: { size, readOnly: false, format: 'raw' as const },
  read: async (offset: number, into: Uint8Array) => into.set(disk.subarray(offset, offset + into.length)),
  write: async (offset: number, bytes: Uint8Array) => disk.set(bytes, offset),
  flush: async () => {},
  close: async () => {},
}
serveBlock(device, ring, () => {})
messages.on('message', ({ id, offset, length, bytes }: BlockMessage) => {
  if (bytes) {
    disk.set(bytes, offset)
    messages.postMessage({ id, bytes: null })
    return
  }
  const answer = disk.slice(offset, offset + length)
  messages.postMessage({ id, bytes: answer }, [answer.buffer])
})
