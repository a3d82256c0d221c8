/**
 * Shared folders: a virtio 9P device for each, with a 9P server of our own behind it. v86 has one such device, with a fixed tag; these are made
 * of its virtio part, and stand together where it keeps that one, so that they are reset and saved with the machine. Requests are read
 * from the guest's memory when it notifies, answered beside its execution, and their answers written into its buffers between two
 * turns of its main loop. Answers to requests from before a reset are thrown away: their buffers belong to nobody.
 * Source: virtio 1.2, sections 2.7 (queues) and 4.1.4.5 (interrupt status); the 9P transport's configuration as in Linux' virtio_9p.h.
 */
import { z } from 'zod'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { ERROR_BYTES, errorReply, HEADER_BYTES } from '../ninep/codec.ts'
import { ERRNO } from '../ninep/errno.ts'
import { openHostFolder } from '../ninep/host-folder.ts'
import { MAX_MESSAGE, NinepServer } from '../ninep/server.ts'
import { addVirtioDevice, wakeGuest } from './virtio-patches.ts'
import type { Core, Virtio, VirtBuffers, VirtioField } from './v86.ts'

const PCI_DEVICE = 0x1049
const VIRTIO_9P = 9
/** Features: mount tag, indirect descriptors, event index, version 1. */
const FEATURES = [0, 28, 29, 32]
/** As many as Linux' driver has use for. */
const QUEUE_SIZE = 128
/** Requests of one device that are answered beside each other; the others wait in the guest's memory. */
const AT_ONCE = 16
/** A slot each, behind the display's (18); I/O ports that nobody else begins in, 256 for each device. */
const FIRST_SLOT = 19
const FIRST_PORT = 0x9000
const PORTS = { common: 0, notification: 0x40, isr: 0x50, specific: 0x80, all: 0x100 } as const

export interface OpenFolder {
  tag: string
  server: NinepServer
}

/** @throws AppError: the first folder that cannot be opened */
export async function openSharedFolders(folders: MachineSpec['sharedFolders']): Promise<OpenFolder[]> {
  const opened: OpenFolder[] = []
  try {
    for (const { tag, path, readOnly } of folders) opened.push({ tag, server: new NinepServer(await openHostFolder(path), { readOnly }) })
    return opened
  } catch (error) {
    await closeSharedFolders(opened)
    throw asAppError(error, `Sharing “${folders[opened.length]!.path}”`)
  }
}

export async function closeSharedFolders(folders: readonly OpenFolder[]): Promise<void> {
  await Promise.all(folders.map(({ server }) => server.close()))
}

/** Of all devices, in the machine's memory state: JSON in UTF-8 for what their servers hold. */
const stateSchema = z.array(z.tuple([z.array(z.unknown()), z.instanceof(Uint8Array)]))

/** To v86 it is the one device: the methods that it calls have v86's names. */
export class SharedFolders {
  #devices: SharedFolder[]
  #folders: readonly OpenFolder[]

  /** Before the machine's first instruction, and before a memory state is loaded. */
  constructor(core: Core, folders: readonly OpenFolder[]) {
    this.#folders = folders
    this.#devices = folders.map(({ tag, server }, at) => new SharedFolder(core, at, tag, server))
    if (folders.length > 0) core.cpu.devices.virtio_9p = this
  }

  get devices(): Virtio[] {
    return this.#devices.map(({ virtio }) => virtio)
  }

  /** Resolves when all that the guest asked for is answered. It must be stopped. */
  async idle(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.idle()))
  }

  async close(): Promise<void> {
    for (const device of this.#devices) device.forget()
    await closeSharedFolders(this.#folders)
  }

  get_state(): unknown[] {
    return this.#devices.map(({ virtio, server }) => [virtio.get_state(), utf8(JSON.stringify(server.save()))])
  }

  /** @throws where it is no state of these devices */
  set_state(state: unknown[]): void {
    const saved = stateSchema.parse(state)
    if (saved.length !== this.#devices.length)
      throw new AppError('corrupt', `The memory state has ${saved.length} shared folders, and the machine has ${this.#devices.length}.`)
    saved.forEach(([virtio, held], at) => {
      const device = this.#devices[at]!
      device.virtio.set_state(virtio)
      device.server.load(JSON.parse(new TextDecoder().decode(held)))
    })
  }

  reset(): void {
    for (const { virtio } of this.#devices) virtio.reset()
  }
}

class SharedFolder {
  readonly virtio: Virtio
  readonly server: NinepServer
  #core: Core
  #pending = new Set<Promise<void>>()
  /** Grows with each reset. */
  #life = 0

  constructor(core: Core, at: number, tag: string, server: NinepServer) {
    this.#core = core
    this.server = server
    const port = FIRST_PORT + at * PORTS.all
    this.virtio = addVirtioDevice(core.cpu, {
      ...{ name: `virtio-9p ${tag}`, pci_id: (FIRST_SLOT + at) << 3, device_id: PCI_DEVICE, subsystem_device_id: VIRTIO_9P },
      common: {
        initial_port: port + PORTS.common,
        queues: [{ size_supported: QUEUE_SIZE, notify_offset: 0 }],
        features: FEATURES,
        on_driver_ok: () => {},
      },
      notification: { initial_port: port + PORTS.notification, single_handler: false, handlers: [() => this.#lookForRequests()] },
      isr_status: { initial_port: port + PORTS.isr },
      device_specific: { initial_port: port + PORTS.specific, struct: configuration(utf8(tag)) },
    })
    const reset = this.virtio.reset
    this.virtio.reset = () => {
      this.forget()
      reset.call(this.virtio)
    }
  }

  /** What was asked so far is answered to nobody. */
  forget(): void {
    this.#life++
    // Before what comes next is looked at: the server takes one after the other where it matters.
    void this.server.reset()
  }

  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }

  #lookForRequests(): void {
    const queue = this.virtio.queues[0]!
    try {
      if (!queue.is_configured()) return
      while (this.#pending.size < AT_ONCE && queue.has_request()) this.#take(queue.pop_request())
      queue.notify_me_after(0)
    } catch {
      // The queue leads out of the guest's memory.
      this.virtio.needs_reset()
    }
  }

  #take(buffers: VirtBuffers): void {
    const bytes = buffers.length_readable
    if (bytes < HEADER_BYTES || bytes > MAX_MESSAGE) return this.virtio.needs_reset()
    const request = new Uint8Array(bytes)
    buffers.get_next_blob(request)
    const life = this.#life
    const work = this.server.handle(request).then((reply) => {
      this.#pending.delete(work)
      if (life === this.#life) this.#reply(buffers, reply)
      this.#lookForRequests()
    })
    this.#pending.add(work)
  }

  #reply(buffers: VirtBuffers, reply: Uint8Array): void {
    const queue = this.virtio.queues[0]!
    const fits = reply.length <= buffers.length_writable
    try {
      if (fits) buffers.set_next_blob(reply)
      else if (buffers.length_writable >= ERROR_BYTES) buffers.set_next_blob(errorReply(reply[5]! | (reply[6]! << 8), ERRNO.EIO))
      queue.push_reply(buffers)
      queue.flush_replies()
    } catch {
      this.virtio.needs_reset()
    }
    wakeGuest(this.#core)
  }
}

/** le16 tag_len, then the tag. */
function configuration(tag: Uint8Array): VirtioField[] {
  const field = (bytes: number, name: string, value: number): VirtioField => ({ bytes, name, read: () => value, write: () => {} })
  return [field(2, 'tag_len', tag.length), ...Array.from(tag, (byte, at) => field(1, `tag_${at}`, byte))]
}
