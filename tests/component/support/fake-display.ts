/**
 * A machine's screen as a host gives it: the least RFB server (RFC 6143) that a viewer can talk to, painted by the test, remembering what was
 * typed and pointed.
 */
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'

const EXTENDED_KEY = -258
const EXTENDED_DESKTOP_SIZE = -308
const POINTER_MOTION_CHANGE = -257

/** A viewer's messages after the handshake, by their first byte: their whole length, from what is there; null: not told yet. */
const LENGTHS: Record<number, (bytes: DataView) => number | null> = {
  0: () => 20,
  2: (bytes) => (bytes.byteLength < 4 ? null : 4 + 4 * bytes.getUint16(2)),
  3: () => 10,
  4: () => 8,
  5: () => 6,
  6: () => 8,
  251: (bytes) => (bytes.byteLength < 8 ? null : 8 + 16 * bytes.getUint8(6)),
  255: () => 12,
}

interface Viewer {
  stream: ByteStream
  encodings: number[]
  /** It waits for a picture that differs. */
  asked: boolean
  /** The picture changed while nothing was asked. */
  missed: boolean
}

export class FakeDisplay {
  width = 640
  height = 400
  /** What the guest's pointer takes: true: movements. */
  relative = false
  resizable = true
  /** Whether the guest takes a size that it is told. */
  follows = true
  colour: readonly [number, number, number] = [20, 60, 120]
  viewers = new Set<Viewer>()
  opened = 0
  screenshots = 0
  /** Keys as "+30" (down) and "-30" (up), scancodes of set 1. */
  keys: string[] = []
  /** As [buttons, x, y]. */
  pointer: [number, number, number][] = []
  /** Sizes that viewers asked for. */
  sizes: [number, number][] = []
  /** Pictures sent. */
  frames = 0

  attach(stream: ByteStream): void {
    this.opened++
    const viewer: Viewer = { stream, encodings: [], asked: false, missed: false }
    this.viewers.add(viewer)
    stream.onClose(() => this.viewers.delete(viewer))
    void this.#serve(viewer).catch(() => {})
  }

  /** Another picture. */
  paint(red: number, green: number, blue: number): void {
    this.colour = [red, green, blue]
    for (const viewer of this.viewers) {
      if (viewer.asked) this.#picture(viewer)
      else viewer.missed = true
    }
  }

  setRelative(relative: boolean): void {
    this.relative = relative
    for (const { stream } of this.viewers) void stream.write(rectangle(relative ? 0 : 1, 0, 0, 0, POINTER_MOTION_CHANGE))
  }

  /** The machine stops. */
  end(): void {
    for (const { stream } of [...this.viewers]) stream.end()
    this.viewers.clear()
  }

  /** Says something that is no message of the protocol. */
  babble(): void {
    for (const { stream } of this.viewers) void stream.write(Uint8Array.of(99, 1, 2, 3))
  }

  async screenshot(stream: ByteStream): Promise<{ bytes: number }> {
    this.screenshots++
    const canvas = new OffscreenCanvas(this.width, this.height)
    const context = canvas.getContext('2d')!
    context.fillStyle = `rgb(${this.colour.join(' ')})`
    context.fillRect(0, 0, this.width, this.height)
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer())
    void stream.write(bytes).then(() => stream.end())
    return { bytes: bytes.length }
  }

  async #serve(viewer: Viewer): Promise<void> {
    const { stream } = viewer
    let waiting = new Uint8Array()
    const take = async (length: number): Promise<Uint8Array> => {
      while (waiting.length < length) {
        const bytes = await stream.read()
        if (!bytes) throw new Error('the viewer left')
        waiting = concatBytes([waiting, bytes])
      }
      const taken = waiting.slice(0, length)
      waiting = waiting.slice(length)
      return taken
    }
    await stream.write(utf8('RFB 003.008\n'))
    await take(12)
    await stream.write(Uint8Array.of(1, 1))
    await take(1)
    await stream.write(Uint8Array.of(0, 0, 0, 0))
    await take(1)
    await stream.write(this.#serverInit())
    for (;;) {
      const head = await take(1)
      waiting = concatBytes([head, waiting])
      const lengthOf = LENGTHS[head[0]!]
      if (!lengthOf) throw new Error(`message ${head[0]}`)
      let length = lengthOf(viewOf(waiting))
      while (length === null) {
        waiting = concatBytes([await take(waiting.length + 1), waiting])
        length = lengthOf(viewOf(waiting))
      }
      this.#message(viewer, viewOf(await take(length)))
    }
  }

  #serverInit(): Uint8Array {
    const init = new DataView(new ArrayBuffer(24))
    init.setUint16(0, this.width)
    init.setUint16(2, this.height)
    for (const [at, value] of [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0].entries()) init.setUint8(4 + at, value)
    return new Uint8Array(init.buffer)
  }

  #message(viewer: Viewer, message: DataView): void {
    switch (message.getUint8(0)) {
      case 2: {
        viewer.encodings = Array.from({ length: message.getUint16(2) }, (_, at) => message.getInt32(4 + 4 * at))
        const { stream } = viewer
        if (viewer.encodings.includes(EXTENDED_KEY)) void stream.write(rectangle(0, 0, 0, 0, EXTENDED_KEY))
        if (viewer.encodings.includes(POINTER_MOTION_CHANGE))
          void stream.write(rectangle(this.relative ? 0 : 1, 0, 0, 0, POINTER_MOTION_CHANGE))
        if (this.resizable) void stream.write(this.#size(0))
        break
      }
      case 3:
        if (message.getUint8(1) === 0 || viewer.missed) this.#picture(viewer)
        else viewer.asked = true
        break
      case 5:
        this.pointer.push([message.getUint8(1), message.getUint16(2), message.getUint16(4)])
        break
      case 251:
        if (!this.follows) {
          void viewer.stream.write(this.#size(1, 4))
          break
        }
        this.width = message.getUint16(2)
        this.height = message.getUint16(4)
        this.sizes.push([this.width, this.height])
        void viewer.stream.write(this.#size(1))
        this.#picture(viewer)
        break
      case 255:
        this.keys.push(`${message.getUint16(2) === 1 ? '+' : '-'}${message.getUint32(8).toString(16)}`)
    }
  }

  #size(reason: number, status = 0): Uint8Array {
    const screen = new DataView(new ArrayBuffer(20))
    screen.setUint8(0, 1)
    screen.setUint16(12, this.width)
    screen.setUint16(14, this.height)
    return concatBytes([rectangle(reason, status, this.width, this.height, EXTENDED_DESKTOP_SIZE), new Uint8Array(screen.buffer)])
  }

  /** One rectangle of RRE (RFC 6143, section 7.7.3): a background and no sub-rectangles. */
  #picture(viewer: Viewer): void {
    viewer.asked = false
    viewer.missed = false
    this.frames++
    const [red, green, blue] = this.colour
    // The pixel format that noVNC sets: red in the lowest byte.
    const background = Uint8Array.of(0, 0, 0, 0, red, green, blue, 0)
    void viewer.stream.write(concatBytes([rectangle(0, 0, this.width, this.height, 2), background])).catch(() => {})
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A FramebufferUpdate (section 7.6.1) of one rectangle, without its contents. */
function rectangle(x: number, y: number, width: number, height: number, encoding: number): Uint8Array {
  const message = new DataView(new ArrayBuffer(16))
  message.setUint16(2, 1)
  for (const [at, value] of [x, y, width, height].entries()) message.setUint16(4 + 2 * at, value)
  message.setInt32(12, encoding)
  return new Uint8Array(message.buffer)
}
