/**
 * Wire messages as bytes, for WebSocket and sockets. One frame: u32 big-endian length of the JSON header, the header (UTF-8), then the
 * bytes of a `data` message. On a byte stream each frame is preceded by its own u32 big-endian length.
 */
import { concatBytes, utf8 } from '../../base/bytes.ts'
import { AppError } from '../../errors/app-error.ts'
import { isWireMessage } from '../check-message.ts'
import type { WireMessage } from '../wire.ts'

/** Largest frame that is accepted, in bytes. */
export const MAX_FRAME = 16 * 1024 * 1024

const LENGTH = 4

const decoder = new TextDecoder('utf-8', { fatal: true })

/** @throws AppError `invalid-input` for a message that no peer would accept: over MAX_FRAME, or not to be written as JSON */
export function encodeFrame(message: WireMessage): Uint8Array<ArrayBuffer> {
  const [front, data] = encodeForStream(message)
  const frame = front.subarray(LENGTH)
  return data ? concatBytes([frame, data]) : frame
}

/**
 * A frame with its length in front, for byte streams: in one piece, or in two where a `data` message's bytes follow. Those are the message's
 * own, not a copy.
 * @throws as encodeFrame
 */
export function encodeForStream(message: WireMessage): [front: Uint8Array<ArrayBuffer>, data?: Uint8Array<ArrayBuffer>] {
  const data = message.t === 'data' ? message.data : null
  const json = utf8(toJson(message.t === 'data' ? { t: message.t, id: message.id } : message))
  const length = LENGTH + json.length + (data?.length ?? 0)
  if (length > MAX_FRAME) throw new AppError('invalid-input', `A message is larger than ${MAX_FRAME / 1024 ** 2} MiB and cannot be sent.`)
  const front = new Uint8Array(2 * LENGTH + json.length)
  const view = new DataView(front.buffer)
  view.setUint32(0, length)
  view.setUint32(LENGTH, json.length)
  front.set(json, 2 * LENGTH)
  return data ? [front, data] : [front]
}

/** @throws AppError `invalid-input` for anything that is not a frame */
export function decodeFrame(frame: Uint8Array): WireMessage {
  if (frame.length < LENGTH || frame.length > MAX_FRAME) throw unreadable('its length is wrong')
  const length = u32(frame)
  if (length > frame.length - LENGTH) throw unreadable('it is cut short')
  return toMessage(frame.subarray(LENGTH, LENGTH + length), frame.slice(LENGTH + length))
}

function toMessage(json: Uint8Array, data: Uint8Array<ArrayBuffer>): WireMessage {
  let header: unknown
  try {
    header = JSON.parse(decoder.decode(json))
  } catch {
    throw unreadable('it is not JSON')
  }
  if (typeof header !== 'object' || header === null) throw unreadable('it is not an object')
  if ((header as { t?: unknown }).t === 'data') (header as { data?: Uint8Array }).data = data
  if (!isWireMessage(header)) throw unreadable('its kind is unknown or a field is missing')
  return header
}

function unreadable(why: string): AppError {
  return new AppError('invalid-input', `A message could not be read: ${why}.`)
}

function u32(bytes: Uint8Array): number {
  return ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0
}

function toJson(header: unknown): string {
  try {
    return JSON.stringify(header)
  } catch (error) {
    throw new AppError('invalid-input', 'A message contains something that cannot be sent.', {}, error)
  }
}

/**
 * Reads messages from a byte stream that comes in pieces of any size. The pieces are kept as they are until a part of a frame is complete; so each
 * byte is copied once, into the message that it belongs to, and a frame takes no memory before its bytes have come.
 */
export class MessageReader {
  #pieces: Uint8Array[] = []
  /** Bytes of the first piece that are taken. */
  #taken = 0
  #have = 0
  #done: WireMessage[] = []
  #parser = parseFrames((message) => this.#done.push(message))
  #wanted = this.#parser.next().value

  /**
   * @returns the messages that are complete now
   * @throws AppError `invalid-input` for what is no frame, or a length over MAX_FRAME; the stream cannot be read further then
   */
  push(bytes: Uint8Array): WireMessage[] {
    this.#pieces.push(bytes)
    this.#have += bytes.length
    while (this.#have >= this.#wanted) this.#wanted = this.#parser.next(this.#take(this.#wanted)).value
    return this.#done.splice(0)
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(length)
    let used = 0
    for (let at = 0; at < length;) {
      const piece = this.#pieces[used]!
      const end = Math.min(piece.length, this.#taken + length - at)
      out.set(piece.subarray(this.#taken, end), at)
      at += end - this.#taken
      this.#taken = end
      if (end < piece.length) break
      used++
      this.#taken = 0
    }
    this.#pieces.splice(0, used)
    this.#have -= length
    return out
  }
}

/** Yields how many bytes it needs next and is given exactly those. */
function* parseFrames(onMessage: (message: WireMessage) => void): Generator<number, never, Uint8Array<ArrayBuffer>> {
  for (;;) {
    const length = u32(yield LENGTH)
    if (length < LENGTH || length > MAX_FRAME) throw unreadable('its length is wrong')
    const jsonLength = u32(yield LENGTH)
    if (jsonLength > length - LENGTH) throw unreadable('it is cut short')
    const json = yield jsonLength
    onMessage(toMessage(json, yield length - LENGTH - jsonLength))
  }
}
