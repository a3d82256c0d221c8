/**
 * The embedded machine's network card on its wire (src-shared/threads/frame-ring.ts). Theory of operation: v86 gives each frame that the guest sends over its event bus, and takes
 * those to the guest there. What comes from the network waits in the ring while the machine stands still, and while the guest's driver has given the card no buffers (virtio 1.2,
 * 5.1.6.4); v86 would throw it away. The ring is looked at again after each turn of the guest. A frame between two networks is copied once here each way.
 */
import { FrameRing } from '../../../src-shared/threads/frame-ring.ts'
import { setLink } from './patches.ts'
import type { Emulator } from './v86.ts'
import { wakeGuest } from './virtio-patches.ts'

/** v86's virtio card: the guest's receive buffers. */
const RECEIVE = 0
/** Bytes of the largest frame that v86's cards have room for: an IP packet of 1500, its Ethernet header and a tag (IEEE 802.3, 3.2.7). Of a larger one they would take a part. */
const LARGEST = 1500 + 14 + 4

export class NicPort {
  #emulator: Emulator
  #ring: FrameRing
  #isRunning: () => boolean
  #up: boolean
  #cut = false
  #onSent = (frame: Uint8Array): void => {
    if (this.#connected) this.#ring.send(frame)
  }

  /** @param isRunning whether the guest executes */
  constructor(emulator: Emulator, ring: SharedArrayBuffer, up: boolean, isRunning: () => boolean) {
    this.#emulator = emulator
    this.#ring = new FrameRing(ring, 'machine')
    this.#isRunning = isRunning
    this.#up = up
    emulator.add_listener('net0-send', this.#onSent)
    this.#ring.watch(
      (frame) => this.#receive(frame),
      (run) => setImmediate(run),
      () => this.#takes(),
    )
  }

  get #connected(): boolean {
    return this.#up && !this.#cut
  }

  /** As the machine's hardware has it. */
  setLink(up: boolean): void {
    this.#up = up
    this.#tell()
  }

  /** Whatever its hardware says. */
  setCut(cut: boolean): void {
    this.#cut = cut
    this.#tell()
  }

  /** The guest ran: it may have given buffers. */
  turn(): void {
    this.#ring.resume()
  }

  close(): void {
    this.#emulator.remove_listener('net0-send', this.#onSent)
    this.#ring.dispose()
  }

  /** A card that has no way to tell its guest (ne2k) is cut without a word. */
  #tell(): void {
    setLink(this.#emulator.v86.cpu, this.#connected)
  }

  #takes(): boolean {
    if (!this.#isRunning()) return false
    const card = this.#emulator.v86.cpu.devices.virtio_net
    // Without a driver nobody ever will: it goes by.
    return !card || !card.virtio.queues[RECEIVE]?.is_configured() || card.virtio.queues[RECEIVE].has_request()
  }

  #receive(frame: Uint8Array): void {
    const { v86, bus } = this.#emulator
    const card = v86.cpu.devices.virtio_net
    if (!this.#connected || frame.length > LARGEST || (card && !card.virtio.queues[RECEIVE]?.is_configured())) return
    bus.send('net0-receive', frame)
    wakeGuest(v86)
  }
}
