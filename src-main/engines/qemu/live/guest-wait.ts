/** What a guest does in its own time, or never. */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { QmpClient } from '../qmp/qmp-client.ts'

export interface GuestWait<T> {
  qmp: QmpClient
  ask(): Promise<void>
  /** Listens from before it is asked; calls `did` when the guest did it. */
  listen(did: (value: T) => void): Disposable
  /** ms that the guest gets. */
  patience: number
  /** What is thrown after that. */
  late(): AppError
  signal: AbortSignal
}

/**
 * Asks a guest, and waits for what it does.
 * @throws AppError what `ask` throws; `late`; `cancelled`; `disconnected` where the machine ended first
 */
export async function guestDoes<T>({ qmp, ask, listen, patience, late, signal }: GuestWait<T>): Promise<T> {
  if (signal.aborted) throw AppError.cancelled()
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  // Where asking fails, nobody waits for the answer.
  promise.catch(() => {})
  const cancel = (): void => reject(AppError.cancelled())
  const timer = setTimeout(() => reject(late()), patience)
  const closed = qmp.onClose(() => reject(ended()))
  signal.addEventListener('abort', cancel, { once: true })
  const listening = listen(resolve)
  try {
    await ask()
    return await promise
  } finally {
    clearTimeout(timer)
    closed.dispose()
    listening.dispose()
    signal.removeEventListener('abort', cancel)
  }
}

function ended(): AppError {
  return new AppError('disconnected', 'The machine ended before its guest did what it was asked for.')
}
