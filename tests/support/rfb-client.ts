/**
 * A VNC viewer for tests: speaks RFB 3.8 (RFC 6143) over a ByteStream, decodes Raw and Tight, and keeps the picture. Written from the
 * specifications, apart from the server's code.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { constants, inflateSync } from 'node:zlib'
import { concatBytes, utf8 } from '../../src-shared/base/bytes.ts'
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'

const SHIFT = 0xffe1
/** What has Shift on a US keyboard. */
const SHIFTED = /[A-Z~!@#$%^&*()_+{}|:"<>?]/
/** Between two keys of a text, ms. */
const KEY_MS = 20

export const RAW = 0
export const TIGHT = 7
export const DESKTOP_SIZE = -223
export const CURSOR = -239
export const QEMU_POINTER_MOTION = -257
export const QEMU_EXTENDED_KEY = -258
export const EXTENDED_DESKTOP_SIZE = -308

export interface Update {
  rects: { x: number; y: number; width: number; height: number; encoding: number; bytes: number }[]
  /** Bytes of the whole update on the wire. */
  bytes: number
}

export interface Viewing {
  encodings?: number[]
  version?: string
  /** Answers a server's challenge (VNC authentication); null: the server is to want none. */
  answer?: ((challenge: Uint8Array) => Uint8Array) | null
  /** False: asks for the screen for itself alone. */
  shared?: boolean
}

export class RfbClient {
  width = 0
  height = 0
  name = ''
  /** Words of red, green, blue and 255, rows from the top. */
  pixels = new Uint32Array(0)
  /** Bytes received so far. */
  received = 0
  #stream: ByteStream
  #buffer: Uint8Array = new Uint8Array(0)

  private constructor(stream: ByteStream) {
    this.#stream = stream
  }

  /** Up to the server's answer to ClientInit, with the encodings told. */
  static async open(
    stream: ByteStream,
    { encodings, version = 'RFB 003.008\n', answer = null, shared = true }: Viewing = {},
  ): Promise<RfbClient> {
    const client = new RfbClient(stream)
    const offered = new TextDecoder().decode(await client.#read(12))
    if (offered !== 'RFB 003.008\n') throw new Error(`The server speaks ${offered}`)
    await stream.write(utf8(version))
    const type = answer ? 2 : 1
    if (version === 'RFB 003.003\n') {
      const wanted = u32(await client.#read(4), 0)
      if (wanted === 0) throw new Error(await client.#reason())
      if (wanted !== type) throw new Error(`The server wants security type ${wanted}.`)
    } else {
      const count = (await client.#read(1))[0]!
      if (count === 0) throw new Error(await client.#reason())
      const types = await client.#read(count)
      if (!types.includes(type)) throw new Error(`The server wants a security type of ${types.join(', ')}.`)
      await stream.write(Uint8Array.of(type))
    }
    if (answer) await stream.write(answer(await client.#read(16)))
    if ((answer || version === 'RFB 003.008\n') && u32(await client.#read(4), 0) !== 0)
      throw new Error(version === 'RFB 003.008\n' ? await client.#reason() : 'The server refused.')
    await stream.write(Uint8Array.of(shared ? 1 : 0))
    const init = await client.#read(24)
    client.#resize(u16(init, 0), u16(init, 2))
    client.name = new TextDecoder().decode(await client.#read(u32(init, 20)))
    // 32 bits, red in the lowest byte: some servers have another order of their own.
    await stream.write(Uint8Array.of(0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0))
    await client.setEncodings(encodings ?? [TIGHT, RAW, DESKTOP_SIZE, QEMU_EXTENDED_KEY])
    return client
  }

  async setEncodings(encodings: number[]): Promise<void> {
    const bytes = new Uint8Array(4 + 4 * encodings.length)
    const view = new DataView(bytes.buffer)
    bytes[0] = 2
    view.setUint16(2, encodings.length)
    encodings.forEach((encoding, at) => view.setInt32(4 + 4 * at, encoding))
    await this.#stream.write(bytes)
  }

  async request(incremental: boolean): Promise<void> {
    const bytes = new Uint8Array(10)
    bytes.set([3, incremental ? 1 : 0])
    const view = new DataView(bytes.buffer)
    view.setUint16(6, this.width)
    view.setUint16(8, this.height)
    await this.#stream.write(bytes)
  }

  /** Asks for an update and paints it. */
  async update(incremental = true): Promise<Update> {
    await this.request(incremental)
    return this.receive()
  }

  /** Paints the next update. */
  async receive(): Promise<Update> {
    const before = this.received - this.#buffer.length
    const head = await this.#read(4)
    if (head[0] !== 0) throw new Error(`The server sent message ${head[0]}.`)
    const update: Update = { rects: [], bytes: 0 }
    for (let left = u16(head, 2); left > 0; left--) {
      const start = this.received - this.#buffer.length
      const rect = await this.#read(12)
      const [x, y, width, height] = [u16(rect, 0), u16(rect, 2), u16(rect, 4), u16(rect, 6)]
      const encoding = u32(rect, 8) | 0
      if (encoding === DESKTOP_SIZE) this.#resize(width, height)
      else if (encoding === EXTENDED_DESKTOP_SIZE) {
        await this.#read(20)
        if (y === 0) this.#resize(width, height)
      } else if (encoding === RAW)
        this.#paint(x, y, width, height, opaque(new Uint32Array((await this.#read(4 * width * height)).slice().buffer)))
      else if (encoding === TIGHT) this.#paint(x, y, width, height, await this.#tight(width, height))
      else if (![QEMU_EXTENDED_KEY, QEMU_POINTER_MOTION, CURSOR].includes(encoding))
        throw new Error(`The server used encoding ${encoding}.`)
      update.rects.push({ x, y, width, height, encoding, bytes: this.received - this.#buffer.length - start })
    }
    update.bytes = this.received - this.#buffer.length - before
    return update
  }

  /** QEMU Extended Key Event. */
  async scancode(code: number, down: boolean): Promise<void> {
    const bytes = new Uint8Array(12)
    bytes.set([255, 0, 0, down ? 1 : 0])
    new DataView(bytes.buffer).setUint32(8, code)
    await this.#stream.write(bytes)
  }

  async keysym(keysym: number, down: boolean): Promise<void> {
    const bytes = new Uint8Array(8)
    bytes.set([4, down ? 1 : 0])
    new DataView(bytes.buffer).setUint32(4, keysym)
    await this.#stream.write(bytes)
  }

  /** Presses and lets go the keys of a text, "\n" is Enter; on a US keyboard, no faster than a BIOS with its buffer of sixteen keys reads. */
  async type(text: string): Promise<void> {
    for (const character of text) {
      const keysym = character === '\n' ? 0xff0d : character.charCodeAt(0)
      const shift = SHIFTED.test(character)
      if (shift) await this.keysym(SHIFT, true)
      await this.keysym(keysym, true)
      await this.keysym(keysym, false)
      if (shift) await this.keysym(SHIFT, false)
      await sleep(KEY_MS)
    }
  }

  async pointer(x: number, y: number, buttons: number): Promise<void> {
    await this.#stream.write(Uint8Array.of(5, buttons, x >> 8, x & 255, y >> 8, y & 255))
  }

  close(): void {
    this.#stream.close()
  }

  /** Red, green and blue of a pixel. */
  at(x: number, y: number): [number, number, number] {
    const pixel = this.pixels[y * this.width + x]!
    return [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255]
  }

  #resize(width: number, height: number): void {
    this.width = width
    this.height = height
    this.pixels = new Uint32Array(width * height)
  }

  #paint(x: number, y: number, width: number, height: number, words: Uint32Array): void {
    if (x + width > this.width || y + height > this.height) throw new Error('A rectangle lies outside of the picture.')
    for (let row = 0; row < height; row++) this.pixels.set(words.subarray(row * width, (row + 1) * width), (y + row) * this.width + x)
  }

  async #tight(width: number, height: number): Promise<Uint32Array> {
    const control = (await this.#read(1))[0]! >> 4
    const out = new Uint32Array(width * height)
    if (control === 8) return out.fill(pixel(await this.#read(3), 0))
    if (control & 8) throw new Error(`Tight compression ${control}`)
    const filter = control & 4 ? (await this.#read(1))[0]! : 0
    if (filter === 0) {
      const data = await this.#unpack(width * height * 3)
      return out.map((_, at) => pixel(data, 3 * at))
    }
    if (filter !== 1) throw new Error(`Tight filter ${filter}`)
    const colours = (await this.#read(1))[0]! + 1
    const palette = await this.#read(3 * colours)
    if (colours > 2) {
      const data = await this.#unpack(width * height)
      return out.map((_, at) => pixel(palette, 3 * data[at]!))
    }
    const stride = (width + 7) >> 3
    const data = await this.#unpack(stride * height)
    return out.map((_, at) => {
      const x = at % width
      return pixel(palette, 3 * ((data[Math.floor(at / width) * stride + (x >> 3)]! >> (7 - (x & 7))) & 1))
    })
  }

  async #unpack(expected: number): Promise<Uint8Array> {
    if (expected < 12) return this.#read(expected)
    let length = 0
    for (let shift = 0; shift <= 14; shift += 7) {
      const byte = (await this.#read(1))[0]!
      length |= (shift === 14 ? byte : byte & 0x7f) << shift
      if (!(byte & 0x80)) break
    }
    // Every rectangle of this server starts its zlib stream anew.
    const data = inflateSync(await this.#read(length), { finishFlush: constants.Z_SYNC_FLUSH })
    if (data.length !== expected) throw new Error(`A rectangle has ${data.length} bytes instead of ${expected}.`)
    return data
  }

  async #reason(): Promise<string> {
    return new TextDecoder().decode(await this.#read(u32(await this.#read(4), 0)))
  }

  async #read(length: number): Promise<Uint8Array> {
    const parts = [this.#buffer]
    for (let have = this.#buffer.length; have < length;) {
      const bytes = await this.#stream.read()
      if (!bytes) throw new Error('The server closed the stream.')
      this.received += bytes.length
      have += bytes.length
      parts.push(bytes)
    }
    const all = parts.length === 1 ? parts[0]! : concatBytes(parts)
    this.#buffer = all.subarray(length)
    return all.subarray(0, length)
  }
}

/** The byte of a pixel that is no colour may be anything. */
function opaque(words: Uint32Array): Uint32Array {
  return words.map((word) => (word | 0xff000000) >>> 0)
}
function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}
function u32(bytes: Uint8Array, at: number): number {
  return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0
}
function pixel(bytes: Uint8Array, at: number): number {
  return (0xff000000 | (bytes[at + 2]! << 16) | (bytes[at + 1]! << 8) | bytes[at]!) >>> 0
}
