/**
 * The port of qemu-guest-agent in a QEMU machine: our one connection to its character device. QEMU says when a program in the guest opens or
 * closes the port (VSERPORT_CHANGE), and, for a guest that goes on from before, that it is open.
 */
import type { Socket } from 'node:net'
import { DisposableStore } from '../../../src-shared/base/disposable.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { AgentChannel } from '../engine.ts'
import type { QmpClient } from './qmp/qmp-client.ts'

/** The device's id and its character device's, in QEMU's arguments. */
const PORT = 'guest-agent'

export class QemuAgentPort implements AgentChannel {
  #socket: Socket
  #qmp: QmpClient
  #open = false
  #store = new DisposableStore()
  #onOpen = this.#store.add(new Emitter<boolean>())
  #onOutput = this.#store.add(new Emitter<Uint8Array>())

  readonly onOpen = this.#onOpen.event
  readonly onOutput = this.#onOutput.event

  constructor(socket: Socket, qmp: QmpClient) {
    this.#socket = socket
    this.#qmp = qmp
    socket.on('data', (bytes: Uint8Array) => this.#onOutput.fire(bytes))
    socket.once('close', () => this.#setOpen(false))
    socket.pause()
    this.#store.add(
      qmp.onEvent(({ name, data }) => {
        if (name === 'VSERPORT_CHANGE' && data['id'] === PORT) this.#setOpen(data['open'] === true)
        if (name === 'RESUME') void this.#look()
      }),
    )
  }

  get open(): boolean {
    return this.#open
  }

  /** A guest that sends what nobody asked for is held by QEMU, whose connection nobody reads. */
  listen(on: boolean): void {
    if (on) this.#socket.resume()
    else this.#socket.pause()
  }

  write(bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (!this.#open || this.#socket.destroyed) reject(closed())
    else this.#socket.write(new Uint8Array(bytes), (error) => (error ? reject(closed()) : resolve()))
    return promise
  }

  close(): void {
    this.#socket.destroy()
    this.#setOpen(false)
    this.#store.dispose()
  }

  async #look(): Promise<void> {
    const devices = await this.#qmp.execute('query-chardev').catch(() => [])
    const port = devices.find(({ label }) => label === PORT)
    if (port?.['frontend-open'] && !this.#socket.destroyed) this.#setOpen(true)
  }

  #setOpen(open: boolean): void {
    if (open === this.#open) return
    this.#open = open
    this.#onOpen.fire(open)
  }
}

function closed(): AppError {
  return new AppError('unavailable', 'No program in the guest listens to the port of its agent.')
}
