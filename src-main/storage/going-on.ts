/**
 * A block device that can go on in another image while it is served: for a snapshot of a machine that runs, whose disk is frozen and goes on in a file above it;
 * and whose files can be worked on in between. What is asked for meanwhile waits.
 */
import { Turns } from '../../src-shared/base/turns.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { BlockInfo } from '../../src-shared/threads/block-port.ts'
import type { ServedDevice } from './serve-ring.ts'

export class GoingOn implements ServedDevice {
  readonly info: BlockInfo
  #device: ServedDevice
  /** Resolves when a change is over; null: there is none. */
  #changing: Promise<void> | null = null
  #turns = new Turns()
  #closed = false
  #underWay = 0
  /** Called when nothing is under way any more. */
  #onIdle: (() => void) | null = null

  constructor(device: ServedDevice) {
    this.#device = device
    this.info = device.info
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#run((device) => device.read(offset, into))
  }
  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#run((device) => device.write(offset, bytes))
  }
  flush(): Promise<void> {
    return this.#run((device) => device.flush())
  }

  close(): Promise<void> {
    return this.#turns.run(() => {
      this.#closed = true
      return this.#device.close()
    })
  }

  /**
   * Everything that was asked for before is on disk, in the present image, which is closed then: only one of the two can be open.
   * @param next opens the image to go on in, of the same size; @param back the present one, where that fails
   * @throws AppError why it does not go on there; it goes on in the present image then
   */
  goOn(next: () => Promise<ServedDevice>, back: () => Promise<ServedDevice>): Promise<void> {
    return this.#whileClosed(async () => {
      try {
        this.#device = await this.#opened(next)
      } catch (error) {
        this.#device = await back()
        throw error
      }
    })
  }

  /**
   * Everything that was asked for before is on disk, and the image is closed while `work` is done.
   * @param back opens it again
   * @throws AppError what `work` throws; `disconnected` where it is served no more
   */
  away<T>(work: () => Promise<T>, back: () => Promise<ServedDevice>): Promise<T> {
    return this.#whileClosed(async () => {
      try {
        return await work()
      } finally {
        this.#device = await this.#opened(back)
      }
    })
  }

  #whileClosed<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run(async () => {
      if (this.#closed) throw new AppError('disconnected', 'The disk is not served any more.')
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#changing = promise
      try {
        if (this.#underWay > 0) await new Promise<void>((idle) => (this.#onIdle = idle))
        await this.#device.flush()
        await this.#device.close()
        return await work()
      } finally {
        this.#changing = null
        resolve()
      }
    })
  }

  async #opened(next: () => Promise<ServedDevice>): Promise<ServedDevice> {
    const device = await next()
    if (device.info.size === this.info.size) return device
    await device.close()
    throw new AppError('corrupt', `The image to go on in has ${device.info.size} bytes, and the disk has ${this.info.size}.`)
  }

  /** On the way of every request. */
  #run<T>(work: (device: ServedDevice) => Promise<T>): Promise<T> {
    if (this.#changing) return this.#changing.then(() => this.#run(work))
    const result = work(this.#device)
    this.#underWay++
    result.then(this.#ended, this.#ended)
    return result
  }

  readonly #ended = (): void => {
    if (--this.#underWay > 0) return
    this.#onIdle?.()
    this.#onIdle = null
  }
}
