/**
 * The engine's end of a ring of blocks (src-shared/threads/block-ring.ts). Requests that find no room wait in their order; a request never overtakes another on
 * its way to the storage thread, which keeps the order of those that touch the same bytes.
 */
import { AppError, asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import { REQUEST, RING_SLOTS, RingMemory, slotsFor, type RingQueue } from '../../src-shared/threads/block-ring.ts'
import type { BlockClient } from './engine.ts'

/** Bytes that were read, where they came to lie. */
export interface Lease {
  readonly bytes: Uint8Array
  /** To be called once. The bytes are somebody else's afterwards. */
  release(): void
}

export interface Writing {
  /** Resolves when the bytes were taken over: whoever gave them may change them before. null: they were at once. */
  taken: Promise<void> | null
  /** Resolves when they are written. */
  done: Promise<void>
}

interface Pending {
  kind: number
  offset: number
  length: number
  /** To be written; a copy. */
  bytes: Uint8Array | null
  submitted: () => void
  resolve(lease: Lease): void
  reject(error: AppError): void
}

/** A ring that the other end of a block port serves, until the port closes. */
export function openRing(blocks: BlockClient): RingClient {
  const ring = new RingClient()
  blocks.ring({ memory: ring.buffer }).then(
    () => ring.end(new AppError('disconnected', 'The image of this drive is closed.')),
    (error: unknown) => ring.end(asAppError(error)),
  )
  return ring
}

export class RingClient {
  /** Told when a request has to wait: who keeps leases only in case lets go of them, or a long request may never find its slots side by side. */
  onWaiting: (() => void) | null = null
  readonly #memory: RingMemory
  readonly #submissions: RingQueue
  readonly #completions: RingQueue
  readonly #used = new Uint8Array(RING_SLOTS)
  /** By first slot. */
  readonly #pending = new Map<number, Pending>()
  readonly #waiting: Pending[] = []
  #waitingBytes = 0
  #ended: AppError | null = null

  constructor(memory = new RingMemory()) {
    this.#memory = memory
    this.#submissions = memory.submissions()
    this.#completions = memory.completions()
    this.#completions.watch(() => this.#look()).catch((error: unknown) => this.end(asAppError(error)))
  }

  /** For the storage thread. */
  get buffer(): SharedArrayBuffer {
    return this.#memory.buffer
  }

  /** Bytes of writes that wait for room. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /** @param length at most MAX_RING_REQUEST. @throws what the storage thread says, or why the ring ended */
  read(offset: number, length: number): Promise<Lease> {
    return this.#ask(REQUEST.read, offset, length, null).answer
  }

  /** As `read`, where there is room for it at once and nobody waits; otherwise null. */
  readIfRoom(offset: number, length: number): Promise<Lease> | null {
    if (this.#ended || this.#waiting.length > 0 || this.#findRoom(slotsFor(length)) < 0) return null
    return this.read(offset, length)
  }

  /** @param bytes at most MAX_RING_REQUEST; copied before this returns */
  write(offset: number, bytes: Uint8Array): Writing {
    const { taken, answer } = this.#ask(REQUEST.write, offset, bytes.length, bytes)
    return { taken, done: answer.then(release) }
  }

  /** Resolves when every write that was asked for before is on disk, and what it needs to be found again. */
  flush(): Promise<void> {
    return this.#ask(REQUEST.flush, 0, 0, null).answer.then(release)
  }

  /** What is under way, and whatever is asked from now on, fails with this. */
  end(reason: AppError): void {
    if (this.#ended) return
    this.#ended = reason
    this.#completions.end()
    for (const { reject } of [...this.#pending.values(), ...this.#waiting.splice(0)]) reject(reason)
    this.#pending.clear()
    this.#waitingBytes = 0
  }

  #ask(kind: number, offset: number, length: number, bytes: Uint8Array | null): { taken: Promise<void> | null; answer: Promise<Lease> } {
    if (this.#ended) return { taken: null, answer: Promise.reject(this.#ended) }
    const { promise: answer, resolve, reject } = Promise.withResolvers<Lease>()
    const pending: Pending = { kind, offset, length, bytes, submitted: () => {}, resolve, reject }
    if (this.#waiting.length === 0 && this.#submit(pending)) return { taken: null, answer }
    if (bytes) pending.bytes = bytes.slice()
    this.#waiting.push(pending)
    this.#waitingBytes += pending.bytes?.length ?? 0
    this.onWaiting?.()
    return { taken: new Promise((submitted) => (pending.submitted = submitted)), answer }
  }

  /** False: there is no room. */
  #submit(pending: Pending): boolean {
    const { kind, offset, length, bytes } = pending
    const slots = slotsFor(length)
    const slot = this.#findRoom(slots)
    if (slot < 0) return false
    this.#used.fill(1, slot, slot + slots)
    this.#memory.setRequest(slot, { kind, length, offset })
    if (bytes) this.#memory.bytes(slot, length).set(bytes)
    pending.bytes = null
    this.#pending.set(slot, pending)
    this.#submissions.put(slot)
    return true
  }

  /** The first of so many free slots side by side; -1: there are none. */
  #findRoom(slots: number): number {
    for (let start = 0; start + slots <= RING_SLOTS;) {
      const used = this.#used.subarray(start, start + slots).lastIndexOf(1)
      if (used < 0) return start
      start += used + 1
    }
    return -1
  }

  #look(): void {
    for (const slot of this.#completions.take(this.#pending.size)) {
      const pending = this.#pending.get(slot)
      if (!pending) throw new AppError('corrupt', `The storage thread answered a request that was not asked (slot ${slot}).`)
      this.#pending.delete(slot)
      const failure = this.#memory.failure(slot)
      const slots = slotsFor(pending.length)
      if (failure !== 0) {
        pending.reject(reasonIn(this.#memory.bytes(slot, failure)))
        this.#free(slot, slots)
        continue
      }
      let released = false
      pending.resolve({
        bytes: this.#memory.bytes(slot, pending.length),
        release: () => {
          if (!released) this.#free(slot, slots)
          released = true
        },
      })
    }
  }

  #free(slot: number, slots: number): void {
    this.#used.fill(0, slot, slot + slots)
    while (this.#waiting.length > 0) {
      const next = this.#waiting[0]!
      const bytes = next.bytes?.length ?? 0
      if (!this.#submit(next)) return
      this.#waiting.shift()
      this.#waitingBytes -= bytes
      next.submitted()
    }
  }
}

function release(lease: Lease): void {
  lease.release()
}

/** @param bytes what the storage thread wrote there, of any length it likes */
function reasonIn(bytes: Uint8Array): AppError {
  try {
    // A decoder takes no shared memory.
    const wire = JSON.parse(new TextDecoder().decode(bytes.slice())) as Partial<WireError>
    if (typeof wire.code === 'string' && typeof wire.message === 'string') return AppError.fromWire(wire as WireError)
  } catch {
    // Said below.
  }
  return new AppError('internal', 'The storage thread could not do a request, and did not say why.')
}
