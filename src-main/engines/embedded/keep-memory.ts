/** Writing a memory state in a thread of its own: looking for what is new in it and writing that takes longer than a guest should stand still. */
import { Worker } from 'node:worker_threads'
import { AppError, type WireError } from '../../../src-shared/errors/app-error.ts'
import type { MemoryHeader, MemoryPlace } from '../../../src-shared/threads/engine-thread.ts'
import { writeMemory, type StateOwner } from './memory.ts'

export interface MemoryOrder {
  place: MemoryPlace
  owner: StateOwner
  /** v86's state; it changes hands. */
  state: ArrayBuffer
  clockMs: number
}

/** Durable when it resolves. */
export type KeepMemory = (order: MemoryOrder) => Promise<MemoryHeader>

type Answer = { header: MemoryHeader } | { error: WireError }

/** @param entry runs `keepMemory` */
export function keepInThread(entry: URL): KeepMemory {
  return (order) => {
    const worker = new Worker(entry, { workerData: order, transferList: [order.state] })
    return new Promise<MemoryHeader>((resolve, reject) => {
      worker.once('message', (answer: Answer) => ('header' in answer ? resolve(answer.header) : reject(AppError.fromWire(answer.error))))
      worker.once('error', (error) => reject(new AppError('crashed', 'The memory of the machine could not be written.', {}, error)))
      worker.once('exit', (code) => reject(new AppError('crashed', `The thread that wrote the memory ended with ${code}.`)))
    })
  }
}

/** The thread's work. */
export async function keepMemory({ place, owner, state, clockMs }: MemoryOrder, answer: (answer: Answer) => void): Promise<void> {
  await writeMemory(place, owner, state, clockMs).then(
    (header) => answer({ header }),
    (error: AppError) => answer({ error: error.toWire() }),
  )
}
