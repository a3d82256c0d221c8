/**
 * The agent's port: v86's virtio console, made to be the one port that QEMU gives to agents. Theory of operation: v86 announces four ports that
 * are consoles; here there is one, which is none, and has QEMU's name, so that a guest finds the same on every engine. The guest's control
 * messages are read along, as v86 does not pass on that a port was opened or closed. Output is gathered during a turn of the main loop;
 * input waits for buffers of the guest and is tried again after each turn. Nothing happens while neither end has anything to say.
 * Source: virtio 1.2, section 5.3 (console device).
 */
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import type { AgentChannel } from '../engine.ts'
import type { Emulator, VirtioConsole } from './v86.ts'

/** As QEMU's documentation names it and its agent looks for it. */
const PORT_NAME = 'org.qemu.guest_agent.0'
const PORT = 0
/** Queues: port 0's input, the guest's control messages. */
const INPUT_QUEUE = 0
const CONTROL_QUEUE = 3
/** VIRTIO_CONSOLE_CONSOLE_PORT, VIRTIO_CONSOLE_PORT_OPEN (5.3.6.2). */
const CONSOLE_PORT = 4
const PORT_OPEN = 6
/** le32 port, le16 event, le16 value. */
const CONTROL_BYTES = 8
/** Where v86's own state of the device ends. */
const STATE_OPEN = 4
/** Input that may wait, bytes; more is refused: the guest does not read. */
const MAX_WAITING = 8 * 1024 * 1024

interface Waiting {
  bytes: Uint8Array
  done(): void
  fail(error: AppError): void
}

export class AgentPort implements AgentChannel {
  #console: VirtioConsole
  #open = false
  #listening = false
  #output: Uint8Array[] = []
  #waiting: Waiting[] = []
  #waitingBytes = 0
  #onOpen = new Emitter<boolean>()
  #onOutput = new Emitter<Uint8Array>()

  readonly onOpen = this.#onOpen.event
  readonly onOutput = this.#onOutput.event

  /** Before the machine's first instruction, and before a memory state is loaded. */
  constructor(emulator: Emulator) {
    const console = (this.#console = emulator.v86.cpu.devices.virtio_console!)
    announceOnePort(console)
    answerOnce(console)
    watchControl(console, (port, event, value) => {
      if (port === PORT && event === PORT_OPEN) this.#setOpen(value !== 0)
    })
    keepState(console, {
      get: () => this.#open,
      set: (open) => this.#setOpen(open),
    })
    emulator.add_listener(`virtio-console${PORT}-output-bytes`, (bytes: Uint8Array) => {
      if (this.#listening) this.#output.push(bytes)
    })
  }

  get open(): boolean {
    return this.#open
  }

  listen(on: boolean): void {
    this.#listening = on
    if (!on) this.#output = []
  }

  write(bytes: Uint8Array): Promise<void> {
    if (!this.#open || this.#waitingBytes + bytes.length > MAX_WAITING) return Promise.reject(closed())
    if (bytes.length === 0) return Promise.resolve()
    return new Promise((done, fail) => {
      this.#waiting.push({ bytes: bytes.slice(), done, fail })
      this.#waitingBytes += bytes.length
      this.#feed()
    })
  }

  /** To be called after each turn of the main loop. */
  turn(): void {
    if (this.#waiting.length > 0) this.#feed()
    if (this.#output.length === 0) return
    const bytes = concatBytes(this.#output)
    this.#output = []
    this.#onOutput.fire(bytes)
  }

  /** The guest was reset: its driver is gone. */
  reset(): void {
    this.#setOpen(false)
  }

  close(): void {
    this.#setOpen(false)
    this.#onOpen.dispose()
    this.#onOutput.dispose()
  }

  #feed(): void {
    const queue = this.#console.virtio.queues[INPUT_QUEUE]!
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (!queue.is_configured() || !queue.has_request()) return
      const buffers = queue.pop_request()
      const taken = next.bytes.subarray(0, buffers.length_writable)
      this.#console.Send(INPUT_QUEUE, buffers, taken)
      this.#waitingBytes -= taken.length
      next.bytes = next.bytes.subarray(taken.length)
      if (next.bytes.length > 0) continue
      this.#waiting.shift()
      next.done()
    }
  }

  #setOpen(open: boolean): void {
    if (open === this.#open) return
    this.#open = open
    this.#output = []
    this.#waitingBytes = 0
    for (const { fail } of this.#waiting.splice(0)) fail(closed())
    this.#onOpen.fire(open)
  }
}

/** One port, not a console, with our name. */
function announceOnePort(console: VirtioConsole): void {
  const { SendEvent: sendEvent, SendName: sendName } = console
  console.ports = 1
  console.SendEvent = function (port, event, value) {
    if (event !== CONSOLE_PORT) sendEvent.call(this, port, event, value)
  }
  console.SendName = function (port) {
    sendName.call(this, port, PORT_NAME)
  }
  console.SendWindowSize = () => {}
}

/** v86 gives some control messages back twice, upon which the guest takes its next one for done before it is. */
function answerOnce(console: VirtioConsole): void {
  const { Ack: ack } = console
  let last: object | null = null
  console.Ack = function (queue, buffers) {
    if (buffers === last) return
    last = buffers
    ack.call(this, queue, buffers)
  }
}

function watchControl(console: VirtioConsole, onMessage: (port: number, event: number, value: number) => void): void {
  const queue = console.virtio.queues[CONTROL_QUEUE]!
  const pop = queue.pop_request
  queue.pop_request = function () {
    const buffers = pop.call(this)
    const get = buffers.get_next_blob
    buffers.get_next_blob = function (into) {
      const count = get.call(this, into)
      if (into.length >= CONTROL_BYTES) {
        const message = new DataView(into.buffer, into.byteOffset)
        onMessage(message.getUint32(0, true), message.getUint16(4, true), message.getUint16(6, true))
      }
      return count
    }
    return buffers
  }
}

/** Whether the guest's end is open goes into memory states: the guest says it only once. */
function keepState(console: VirtioConsole, open: { get(): boolean; set(open: boolean): void }): void {
  const { get_state: get, set_state: set } = console
  console.get_state = function () {
    const state = get.call(this)
    state[STATE_OPEN] = open.get() ? 1 : 0
    return state
  }
  console.set_state = function (state) {
    set.call(this, state)
    open.set(state[STATE_OPEN] === 1)
  }
}

function closed(): AppError {
  return new AppError('unavailable', 'No program in the guest listens to the port of its agent.')
}
