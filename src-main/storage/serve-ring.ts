/**
 * The storage thread's end of a ring of blocks (src-shared/threads/block-ring.ts). Requests are done as on the port: those that touch the same bytes in their
 * order, a flush after every write that was submitted before it.
 */
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import { utf8 } from '../../src-shared/base/bytes.ts'
import {
  MAX_RING_REQUEST,
  REQUEST,
  RING_SLOTS,
  RingMemory,
  SLOT_BYTES,
  slotsFor,
  type RingQueue,
} from '../../src-shared/threads/block-ring.ts'
import type { BlockDevice } from './block-device.ts'
import type { RequestOrder } from './request-order.ts'

/** As much of a device as is served. */
export type ServedDevice = Pick<BlockDevice, 'info' | 'read' | 'write' | 'flush' | 'close'>

export class ServedRing {
  /** Resolves after `end`; rejects with AppError `corrupt` when the other end broke the ring's rules. */
  readonly ended: Promise<void>
  readonly #memory: RingMemory
  readonly #submissions: RingQueue
  readonly #completions: RingQueue
  readonly #device: ServedDevice
  readonly #order: RequestOrder
  /** By slot: whether a request that was not answered yet has it. */
  readonly #busy = new Uint8Array(RING_SLOTS)
  #free = RING_SLOTS
  #broken = false

  /** @throws AppError `invalid-input`: the memory is none of a ring's */
  constructor(memory: SharedArrayBuffer, device: ServedDevice, order: RequestOrder) {
    this.#memory = new RingMemory(memory)
    this.#submissions = this.#memory.submissions()
    this.#completions = this.#memory.completions()
    this.#device = device
    this.#order = order
    this.ended = this.#submissions.watch(() => this.#look())
  }

  /** Begins what was submitted before the other end went: a guest was told that it is written. Nothing that comes later is looked at. */
  end(): void {
    this.#submissions.end()
    try {
      if (!this.#broken) this.#look()
    } catch {
      // The other end is gone, and what it left makes no sense.
    }
  }

  #look(): void {
    try {
      for (const slot of this.#submissions.take(this.#free)) this.#begin(slot)
    } catch (error) {
      this.#broken = true
      throw error
    }
  }

  #begin(slot: number): void {
    if (!(slot >= 0 && slot < RING_SLOTS)) throw broken(`slot ${slot} does not exist`)
    const { kind, length, offset } = this.#memory.request(slot)
    const slots = slotsFor(length)
    if (!(length >= 0 && length <= MAX_RING_REQUEST && slot + slots <= RING_SLOTS))
      throw broken(`a request for ${length} bytes stands in slot ${slot}`)
    if (this.#busy.subarray(slot, slot + slots).includes(1)) throw broken(`slot ${slot} has a request that is not answered yet`)
    this.#busy.fill(1, slot, slot + slots)
    this.#free -= slots
    void this.#run(kind, offset, this.#memory.bytes(slot, length)).then(
      () => this.#answer(slot, slots, null),
      (error: unknown) => this.#answer(slot, slots, error),
    )
  }

  async #run(kind: number, offset: number, bytes: Uint8Array): Promise<void> {
    const { length } = bytes
    if (kind === REQUEST.flush) return this.#order.afterWrites(() => this.#device.flush())
    // What is not on the disk must not get into the order of requests.
    if (!Number.isSafeInteger(offset) || offset < 0 || length === 0 || offset + length > this.#device.info.size)
      throw new AppError('invalid-input', `A request for ${length} bytes at ${offset} lies outside of the disk.`)
    if (kind === REQUEST.read) return this.#order.run(false, offset, length, () => this.#device.read(offset, bytes))
    if (kind === REQUEST.write) return this.#order.run(true, offset, length, () => this.#device.write(offset, bytes))
    throw new AppError('invalid-input', `There is no request of the kind ${kind}.`)
  }

  #answer(slot: number, slots: number, error: unknown): void {
    let reason = 0
    if (error) {
      const bytes = utf8(JSON.stringify(asAppError(error).toWire())).subarray(0, SLOT_BYTES)
      this.#memory.bytes(slot, bytes.length).set(bytes)
      reason = bytes.length
    }
    this.#memory.setFailure(slot, reason)
    this.#busy.fill(0, slot, slot + slots)
    this.#free += slots
    this.#completions.put(slot)
  }
}

function broken(what: string): AppError {
  return new AppError('corrupt', `The other end of a ring of blocks broke its rules: ${what}.`)
}
