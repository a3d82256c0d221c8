/**
 * The Remote Framebuffer protocol 3.8 as a server reads and writes it: RFC 6143, and the extensions of the RFB protocol's community
 * specification (rfbproto): Tight, ExtendedDesktopSize, QEMU Extended Key Event and Pointer Motion Change. Pure: bytes in, messages out, and the other way round.
 */
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { RFB_VERSION, rfbMinor, type RfbMinor } from '../../../src-shared/model/rfb.ts'
import { parsePixelFormat, type PixelFormat } from './pixel-format.ts'
import type { Rect } from './screen.ts'

export const ENCODING = {
  raw: 0,
  tight: 7,
  desktopSize: -223,
  cursor: -239,
  /** The first of ten compression levels: as little work as can be (rfbproto, "Compression Level Pseudo-encoding"). */
  noCompression: -256,
  qemuPointerMotion: -257,
  qemuExtendedKey: -258,
  extendedDesktopSize: -308,
} as const

/** More than any viewer names; the rest of a longer list is passed over. */
export const MAX_ENCODINGS = 256
/** Bytes of clipboard text that are passed over; a viewer that sends more is cut off. */
export const MAX_CUT_TEXT = 1024 * 1024
/** Monitors of a SetDesktopSize request. */
export const MAX_MONITORS = 64
/** Where pointer events of movements have their middle (QEMU Pointer Motion Change). */
export const NO_MOVEMENT = 0x7fff
/** Pixels. A larger movement is a place that was sent before the viewer knew that the guest takes movements. */
export const MAX_MOVEMENT = 4096

export type ClientMessage =
  | { kind: 'version'; minor: RfbMinor }
  | { kind: 'security'; type: number }
  | { kind: 'init' }
  | { kind: 'pixelFormat'; format: PixelFormat }
  | { kind: 'encodings'; encodings: number[] }
  | { kind: 'updateRequest'; incremental: boolean; rect: Rect }
  | { kind: 'key'; keysym: number; down: boolean }
  /** `code` as Screen.key takes it. */
  | { kind: 'scancode'; code: number; down: boolean }
  | { kind: 'pointer'; x: number; y: number; buttons: number }
  | { kind: 'setDesktopSize' }

/** Takes a viewer's bytes in any pieces. */
export class ClientParser {
  #parse: Generator<number, never, DataView>
  #wanted: number
  #messages: ClientMessage[] = []
  #kept: Uint8Array = new Uint8Array(0)

  constructor() {
    this.#parse = parseClient((message) => this.#messages.push(message))
    this.#wanted = this.#parse.next().value
  }

  /**
   * The messages that these bytes complete.
   * @throws AppError `invalid-input` for what no viewer sends
   */
  push(bytes: Uint8Array): ClientMessage[] {
    const data = this.#kept.length === 0 ? bytes : concatBytes([this.#kept, bytes])
    let at = 0
    while (data.length - at >= this.#wanted) {
      const view = new DataView(data.buffer, data.byteOffset + at, this.#wanted)
      at += this.#wanted
      this.#wanted = this.#parse.next(view).value
    }
    this.#kept = data.slice(at)
    return this.#messages.splice(0)
  }
}

/** Yields how many bytes it wants next; none of these numbers is chosen by the viewer beyond the limits above. */
function* parseClient(tell: (message: ClientMessage) => void): Generator<number, never, DataView> {
  const minor = parseVersion(yield RFB_VERSION.length)
  tell({ kind: 'version', minor })
  // Version 3.3 has no choice: the server decides (RFC 6143, appendix A).
  if (minor > 3) tell({ kind: 'security', type: (yield 1).getUint8(0) })
  yield 1
  tell({ kind: 'init' })
  for (;;) {
    const type = (yield 1).getUint8(0)
    switch (type) {
      case 0:
        tell({ kind: 'pixelFormat', format: parsePixelFormat(yield 19) })
        break
      case 2: {
        const count = (yield 3).getUint16(1)
        const encodings: number[] = []
        for (let at = 0; at < count; at++) {
          const encoding = (yield 4).getInt32(0)
          if (at < MAX_ENCODINGS) encodings.push(encoding)
        }
        tell({ kind: 'encodings', encodings })
        break
      }
      case 3: {
        const view = yield 9
        const rect = { x: view.getUint16(1), y: view.getUint16(3), width: view.getUint16(5), height: view.getUint16(7) }
        tell({ kind: 'updateRequest', incremental: view.getUint8(0) !== 0, rect })
        break
      }
      case 4: {
        const view = yield 7
        tell({ kind: 'key', down: view.getUint8(0) !== 0, keysym: view.getUint32(3) })
        break
      }
      case 5: {
        const view = yield 5
        tell({ kind: 'pointer', buttons: view.getUint8(0), x: view.getUint16(1), y: view.getUint16(3) })
        break
      }
      case 6: {
        const length = (yield 7).getUint32(3)
        if (length > MAX_CUT_TEXT) throw refuse(`clipboard text of ${length} bytes`)
        for (let left = length; left > 0; left -= 4096) yield Math.min(left, 4096)
        break
      }
      case 251: {
        const monitors = (yield 7).getUint8(5)
        if (monitors > MAX_MONITORS) throw refuse(`a desktop of ${monitors} monitors`)
        yield 16 * monitors
        tell({ kind: 'setDesktopSize' })
        break
      }
      case 255: {
        const submessage = (yield 1).getUint8(0)
        if (submessage !== 0) throw refuse(`QEMU message ${submessage}`)
        const view = yield 10
        const down = view.getUint16(0) !== 0
        const code = view.getUint32(6)
        if (code > 0 && code < 0x100) tell({ kind: 'scancode', code, down })
        else tell({ kind: 'key', keysym: view.getUint32(2), down })
        break
      }
      default:
        throw refuse(`message type ${type}`)
    }
  }
}

function parseVersion(view: DataView): RfbMinor {
  const minor = rfbMinor(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  if (minor === null)
    throw new AppError('invalid-input', 'The program at the other end is no VNC viewer: it does not name its RFB version.')
  return minor
}

function refuse(what: string): AppError {
  return new AppError('invalid-input', `The viewer sent ${what}, which this screen does not take. It was disconnected.`)
}

/** RFC 6143, 7.3.2. `name` is the desktop's. */
export function serverInit(width: number, height: number, format: Uint8Array, name: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(24 + name.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, width)
  view.setUint16(2, height)
  bytes.set(format, 4)
  view.setUint32(20, name.length)
  bytes.set(name, 24)
  return bytes
}

/** RFC 6143, 7.6.1: what `count` rectangles follow. */
export function updateHeader(count: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(0, 0, count >> 8, count & 255)
}

export function rectHeader({ x, y, width, height }: Rect, encoding: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, x)
  view.setUint16(2, y)
  view.setUint16(4, width)
  view.setUint16(6, height)
  view.setInt32(8, encoding)
  return bytes
}

/**
 * An ExtendedDesktopSize rectangle with one monitor.
 * @param reason 0: the screen did it; 1: this viewer asked
 * @param status 0: done; 1: prohibited
 */
export function extendedDesktopSize(width: number, height: number, reason: 0 | 1, status: 0 | 1): Uint8Array<ArrayBuffer> {
  const monitor = new Uint8Array(20)
  const view = new DataView(monitor.buffer)
  view.setUint8(0, 1)
  view.setUint16(12, width)
  view.setUint16(14, height)
  return concatBytes([rectHeader({ x: reason, y: status, width, height }, ENCODING.extendedDesktopSize), monitor])
}
