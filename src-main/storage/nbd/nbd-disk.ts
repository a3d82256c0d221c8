/** A disk that an NBD server has, as an image. */
import { formatBytes } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { parseNetworkDisk } from '../../../src-shared/model/network-disk.ts'
import type { BlockInfo } from '../../../src-shared/threads/block-port.ts'
import type { DiskImage } from '../disk-image.ts'
import { RequestOrder } from '../request-order.ts'
import { requestGuard } from '../request-guard.ts'
import type { Extent } from '../block-device.ts'
import { NbdClient, RECONNECT_PATIENCE } from './nbd-client.ts'
import { COMMAND, ONE_EXTENT, STATE_ZERO } from './protocol.ts'

/** Bytes read or written by one request: several are under way then. */
const MAX_TRANSFER = 1024 * 1024
/** Bytes of one request that carries no data (its length is a 32-bit number). */
const MAX_DATALESS = 1024 ** 3
/** Bytes of zeroes written at once where the server cannot write zeroes itself. */
const ZEROES = new Uint8Array(1024 * 1024)

export interface NbdOptions {
  readOnly: boolean
  /** ms; for tests. */
  patience?: number
}

/**
 * @param address as a drive's path has it
 * @throws AppError `invalid-input` for what is no address of an NBD server; as NbdClient.open
 */
export async function openNbdDisk(address: string, { readOnly, patience = RECONNECT_PATIENCE }: NbdOptions): Promise<DiskImage> {
  const parsed = parseNetworkDisk(address)
  if (typeof parsed === 'string') throw new AppError('invalid-input', parsed, { subject: address })
  if (parsed.kind !== 'nbd')
    throw new AppError(
      'unsupported',
      `Coppice itself reads disks on the network by NBD only; QEMU may reach “${address}”. Let QEMU run the machine.`,
      {
        subject: address,
      },
    )
  return nbdImage(await NbdClient.open(parsed, address, readOnly, patience), address, readOnly)
}

function nbdImage(client: NbdClient, address: string, readOnly: boolean): DiskImage {
  const { size, minBlock, maxBlock, canTrim, canWriteZeroes, canFlush, allocation } = client.info
  const info: BlockInfo = { size, readOnly, format: 'raw' }
  const guard = requestGuard(info, address)
  const order = new RequestOrder()
  const transfer = Math.max(minBlock, Math.min(maxBlock, MAX_TRANSFER))
  const down = (offset: number): number => offset - (offset % minBlock)
  const up = (offset: number): number => down(offset + minBlock - 1)
  const isWhole = (offset: number, length: number): boolean => offset % minBlock === 0 && length % minBlock === 0

  /** Blocks' own bytes. */
  const readBlocks = async (offset: number, into: Uint8Array): Promise<void> => {
    const parts: Promise<unknown>[] = []
    for (let at = 0; at < into.length; at += transfer) {
      const part = into.subarray(at, at + transfer)
      parts.push(client.ask({ command: COMMAND.read, offset: offset + at, length: part.length, into: part }))
    }
    await all(parts)
  }
  const writeBlocks = async (offset: number, bytes: Uint8Array): Promise<void> => {
    const parts: Promise<unknown>[] = []
    for (let at = 0; at < bytes.length; at += transfer) {
      const payload = bytes.subarray(at, at + transfer)
      parts.push(client.ask({ command: COMMAND.write, offset: offset + at, length: payload.length, payload }))
    }
    await all(parts)
  }
  const dataless = async (command: typeof COMMAND.trim | typeof COMMAND.writeZeroes, offset: number, length: number): Promise<void> => {
    for (let at = 0; at < length; at += MAX_DATALESS)
      await client.ask({ command, offset: offset + at, length: Math.min(MAX_DATALESS, length - at) })
  }
  const read = async (offset: number, into: Uint8Array): Promise<void> => {
    if (isWhole(offset, into.length)) return readBlocks(offset, into)
    const start = down(offset)
    const blocks = new Uint8Array(up(offset + into.length) - start)
    await readBlocks(start, blocks)
    into.set(blocks.subarray(offset - start, offset - start + into.length))
  }
  /** What is no whole block is read, changed and written back. */
  const write = async (offset: number, bytes: Uint8Array): Promise<void> => {
    if (isWhole(offset, bytes.length)) return writeBlocks(offset, bytes)
    const start = down(offset)
    const blocks = new Uint8Array(up(offset + bytes.length) - start)
    await readBlocks(start, blocks)
    blocks.set(bytes, offset - start)
    await writeBlocks(start, blocks)
  }
  const inOrder = <T>(writes: boolean, offset: number, length: number, work: () => Promise<T>): Promise<T> =>
    order.run(writes, down(offset), up(offset + length) - down(offset), work)

  let closing: Promise<void> | null = null
  return {
    info,
    backing: null,
    details: [
      { label: 'Reached by', value: 'NBD' },
      { label: 'Block size', value: minBlock === 1 ? 'any' : formatBytes(minBlock) },
      {
        label: 'Knows',
        value:
          [canFlush && 'flush', canTrim && 'trim', canWriteZeroes && 'write zeroes', allocation !== null && 'where data is']
            .filter(Boolean)
            .join(', ') || 'reading and writing',
      },
    ],
    async read(offset, into) {
      guard.reading(offset, into.length)
      if (into.length > 0) await inOrder(false, offset, into.length, () => read(offset, into))
    },
    async write(offset, bytes) {
      guard.writing(offset, bytes.length)
      if (bytes.length > 0) await inOrder(true, offset, bytes.length, () => write(offset, bytes))
    },
    async writeZeroes(offset, length) {
      guard.writing(offset, length)
      if (length === 0) return
      await inOrder(true, offset, length, async () => {
        if (canWriteZeroes && isWhole(offset, length)) return dataless(COMMAND.writeZeroes, offset, length)
        for (let at = 0; at < length; at += ZEROES.length)
          await write(offset + at, ZEROES.subarray(0, Math.min(ZEROES.length, length - at)))
      })
    },
    async discard(offset, length) {
      guard.writing(offset, length)
      const start = up(offset)
      const end = down(offset + length)
      if (canTrim && start < end) await inOrder(true, start, end - start, () => dataless(COMMAND.trim, start, end - start))
    },
    async flush() {
      guard.open()
      if (!readOnly) await order.afterWrites(() => client.flush())
    },
    async extent(offset, length): Promise<Extent> {
      guard.reading(offset, length)
      if (length === 0) throw new AppError('invalid-input', 'An extent of no bytes was asked for.')
      if (allocation === null) return { length, state: 'data' }
      const start = down(offset)
      const asked = Math.min(up(offset + length) - start, MAX_DATALESS)
      const [first] = await client.ask({ command: COMMAND.blockStatus, offset: start, length: asked, flags: ONE_EXTENT })
      // The server may know of more than it was asked for, and may know nothing.
      const known = (first?.length ?? 0) - (offset - start)
      if (!first || known <= 0) return { length, state: 'data' }
      return { length: Math.min(known, length), state: (first.state & STATE_ZERO) !== 0 ? 'zero' : 'data' }
    },
    close() {
      guard.end()
      closing ??= (async () => {
        try {
          await order.idle()
          if (!readOnly) await client.flush()
        } finally {
          await client.close()
        }
      })()
      return closing
    },
  }
}

/** Waits for every one, whatever fails: the caller's bytes must not be used any more afterwards. */
async function all(parts: readonly Promise<unknown>[]): Promise<void> {
  const ended = await Promise.allSettled(parts)
  for (const one of ended) if (one.status === 'rejected') throw one.reason
}
