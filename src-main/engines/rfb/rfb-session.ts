/**
 * One viewer. Theory of operation: a viewer asks for an update (RFC 6143, 7.5.3) and gets one answer, when there is something to tell. What
 * changes meanwhile is marked in its DirtyRegion. An answer is written rectangle by rectangle at the pace of the stream, so that a slow
 * viewer holds back only itself and misses pictures, never bytes.
 */
import { utf8 } from '../../../src-shared/base/bytes.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { RFB_VERSION, SECURITY_NONE, type RfbMinor } from '../../../src-shared/model/rfb.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import { DirtyRegion } from './dirty-region.ts'
import { KeyboardOfViewer } from './keyboard.ts'
import { encodePixelFormat, OWN_FORMAT, PixelWriter } from './pixel-format.ts'
import {
  ClientParser,
  ENCODING,
  extendedDesktopSize,
  MAX_MOVEMENT,
  NO_MOVEMENT,
  rectHeader,
  serverInit,
  updateHeader,
  type ClientMessage,
} from './protocol.ts'
import type { Picture, Rect } from './screen.ts'
import { encodeTight } from './tight.ts'

/** What a viewer needs of the display that it looks at. */
export interface SessionHost {
  readonly name: string
  picture(): Picture
  key(code: number, down: boolean): void
  /** As Screen has them. */
  absolute(): boolean
  pointer(x: number, y: number, buttons: number): void
  move(dx: number, dy: number, buttons: number): void
  /** The viewer waits for an update. */
  wanted(): void
  closed(): void
}

export class RfbSession {
  #host: SessionHost
  #stream: ByteStream
  #minor: RfbMinor = 8
  #writer = new PixelWriter(OWN_FORMAT)
  #encodings = new Set<number>()
  /** Encodings that the viewer was told of: once, however often it names them. */
  #told = new Set<number>()
  #tight = false
  #dirty = new DirtyRegion(0, 0)
  #requested = false
  #sending = false
  /** Rectangles without pixels that the next answer begins with. */
  #notices: Uint8Array[] = []
  /** It asked for another size and has no answer yet. */
  #wantedSize = false
  #keyboard: KeyboardOfViewer
  #buttons = 0
  /** What the viewer was last told of the guest's pointer; viewers that cannot be told send places. */
  #absolute = true
  #toldMotion = false

  constructor(stream: ByteStream, host: SessionHost) {
    this.#stream = stream
    this.#host = host
    this.#keyboard = new KeyboardOfViewer((code, down) => host.key(code, down))
    void this.#run()
  }

  /** Asked for an update and has none on the way. */
  get wants(): boolean {
    return this.#requested && !this.#sending
  }

  /** The picture changed here. */
  damage(rect: Rect): void {
    this.#dirty.add(rect)
  }

  /** Answers the viewer's request where there is something to tell. */
  flush(picture: Picture): void {
    if (!this.wants) return
    const resized = picture.width !== this.#dirty.width || picture.height !== this.#dirty.height
    if (resized) this.#resize(picture)
    this.#tellMotion()
    if (this.#wantedSize) this.#notices.push(extendedDesktopSize(this.#dirty.width, this.#dirty.height, 1, 1))
    this.#wantedSize = false
    if (this.#dirty.empty && this.#notices.length === 0) return
    this.#requested = false
    this.#sending = true
    void this.#send(picture, resized).catch((error: unknown) => this.close(asAppError(error, 'Showing the screen')))
  }

  /** Lets go of the viewer's keys and buttons and ends the stream. */
  close(error?: AppError): void {
    this.#stream.close(error)
  }

  async #run(): Promise<void> {
    const parser = new ClientParser()
    let failed: AppError | undefined
    try {
      await this.#stream.write(utf8(RFB_VERSION))
      for (let bytes = await this.#stream.read(); bytes; bytes = await this.#stream.read())
        for (const message of parser.push(bytes)) await this.#receive(message)
    } catch (error) {
      failed = asAppError(error, 'Serving a viewer of the screen')
    } finally {
      this.#keyboard.releaseAll()
      if (this.#buttons !== 0) this.#host.move(0, 0, 0)
      this.close(failed)
      this.#host.closed()
    }
  }

  async #receive(message: ClientMessage): Promise<void> {
    switch (message.kind) {
      case 'version':
        this.#minor = message.minor
        // Version 3.3 is told its type in four bytes, later ones choose from a list (RFC 6143, 7.1.2).
        return this.#stream.write(this.#minor === 3 ? Uint8Array.of(0, 0, 0, SECURITY_NONE) : Uint8Array.of(1, SECURITY_NONE))
      case 'security':
        if (message.type !== SECURITY_NONE) throw new AppError('invalid-input', 'The viewer chose a security type that was not offered.')
        if (this.#minor === 8) await this.#stream.write(new Uint8Array(4))
        return
      case 'init': {
        const { width, height } = this.#host.picture()
        this.#dirty = new DirtyRegion(width, height)
        return this.#stream.write(serverInit(width, height, encodePixelFormat(OWN_FORMAT), utf8(this.#host.name)))
      }
      case 'pixelFormat':
        this.#writer = new PixelWriter(message.format)
        return
      case 'encodings':
        return this.#setEncodings(message.encodings)
      case 'updateRequest':
        if (!message.incremental) this.#dirty.add(message.rect)
        this.#requested = true
        return this.#host.wanted()
      case 'key':
        return this.#keyboard.keysym(message.keysym, message.down)
      case 'scancode':
        return this.#keyboard.scancode(message.code, message.down)
      case 'pointer':
        return this.#point(message.x, message.y, message.buttons)
      case 'setDesktopSize':
        // No guest here can be told of another size.
        if (!this.#encodings.has(ENCODING.extendedDesktopSize)) return
        this.#wantedSize = true
        return this.#host.wanted()
    }
  }

  #setEncodings(encodings: number[]): void {
    const known = new Set(encodings)
    this.#tight = encodings.find((encoding) => encoding === ENCODING.tight || encoding === ENCODING.raw) === ENCODING.tight
    const notices: Uint8Array[] = []
    const nowhere = { x: 0, y: 0, width: 0, height: 0 }
    const isNew = (encoding: number): boolean => {
      if (!known.has(encoding) || this.#told.has(encoding)) return false
      this.#told.add(encoding)
      return true
    }
    // Says that these are understood.
    if (isNew(ENCODING.qemuExtendedKey)) notices.push(rectHeader(nowhere, ENCODING.qemuExtendedKey))
    // The guest paints its pointer into the picture: the viewer is to paint none.
    if (isNew(ENCODING.cursor)) notices.push(rectHeader(nowhere, ENCODING.cursor))
    this.#encodings = known
    this.#notices.push(...notices)
  }

  #point(x: number, y: number, buttons: number): void {
    this.#buttons = buttons
    if (this.#absolute) return this.#host.pointer(x, y, buttons)
    const [dx, dy] = [x - NO_MOVEMENT, y - NO_MOVEMENT]
    if (Math.abs(dx) <= MAX_MOVEMENT && Math.abs(dy) <= MAX_MOVEMENT) this.#host.move(dx, dy, buttons)
  }

  #tellMotion(): void {
    const absolute = this.#host.absolute()
    if (!this.#encodings.has(ENCODING.qemuPointerMotion) || (this.#toldMotion && absolute === this.#absolute)) return
    this.#toldMotion = true
    this.#absolute = absolute
    this.#notices.push(rectHeader({ x: absolute ? 1 : 0, y: 0, width: 0, height: 0 }, ENCODING.qemuPointerMotion))
  }

  /** A viewer that cannot be told of a new size goes on with its own, and sees what lies within. */
  #resize({ width, height }: Picture): void {
    if (this.#encodings.has(ENCODING.desktopSize)) this.#notices.push(rectHeader({ x: 0, y: 0, width, height }, ENCODING.desktopSize))
    else if (this.#encodings.has(ENCODING.extendedDesktopSize)) this.#notices.push(extendedDesktopSize(width, height, 0, 0))
    else return
    this.#dirty = new DirtyRegion(width, height)
    this.#dirty.add({ x: 0, y: 0, width, height })
  }

  /** @param sizeOnly the pixels follow in the next answer, when the viewer has its new size */
  async #send(picture: Picture, sizeOnly: boolean): Promise<void> {
    const notices = this.#notices.splice(0)
    const alone = sizeOnly && notices.length > 0
    const rects = alone ? [] : this.#dirty.take().flatMap((rect) => clip(rect, picture))
    const writer = this.#writer
    const compresses = !this.#encodings.has(ENCODING.noCompression)
    try {
      await this.#stream.write(updateHeader(notices.length + rects.length))
      for (const notice of notices) await this.#stream.write(notice)
      for (const rect of rects) {
        const tight = this.#tight ? encodeTight(picture, rect, writer, compresses) : null
        const data = tight ? await tight : writer.raw(picture, rect)
        await this.#stream.write(rectHeader(rect, tight ? ENCODING.tight : ENCODING.raw))
        await this.#stream.write(data)
      }
    } finally {
      this.#sending = false
    }
    if (this.#requested) this.#host.wanted()
  }
}

function clip(rect: Rect, picture: Picture): Rect[] {
  const width = Math.min(rect.x + rect.width, picture.width) - rect.x
  const height = Math.min(rect.y + rect.height, picture.height) - rect.y
  return width > 0 && height > 0 ? [{ ...rect, width, height }] : []
}
