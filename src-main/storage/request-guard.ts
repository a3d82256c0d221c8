/** The checks that every block device makes of a request before it does anything. */
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { BlockInfo } from '../../src-shared/threads/block-port.ts'

export interface RequestGuard {
  /** @throws AppError `disconnected` after `end` */
  open(): void
  /** @throws AppError `disconnected`, `invalid-input` */
  reading(offset: number, length: number): void
  /** @throws AppError `disconnected`, `denied`, `invalid-input` */
  writing(offset: number, length: number): void
  /** Why a device that is read-only takes no change. */
  refusal(): AppError
  /** From now on everything is refused. */
  end(): void
}

/** @param name for sentences: the image's path */
export function requestGuard(info: BlockInfo, name: string): RequestGuard {
  let ended = false
  const open = (): void => {
    if (ended) throw new AppError('disconnected', `The disk image “${name}” is closed.`)
  }
  const reading = (offset: number, length: number): void => {
    open()
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(length) || length < 0 || offset + length > info.size)
      throw new AppError(
        'invalid-input',
        `A request for ${length} bytes at ${offset} lies outside of the disk “${name}” (${info.size} bytes).`,
      )
  }
  const refusal = (): AppError => new AppError('denied', `The disk image “${name}” is open for reading only.`)
  return {
    open,
    reading,
    writing(offset, length) {
      if (info.readOnly) throw refusal()
      reading(offset, length)
    },
    refusal,
    end() {
      ended = true
    },
  }
}
