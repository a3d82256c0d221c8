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

const decoder = new TextDecoder('utf-8', { fatal: true })

/** @throws AppError `invalid-input` for a message that no peer would accept: over MAX_FRAME, or not to be written as JSON */
export function encodeFrame(message: WireMessage): Uint8Array<ArrayBuffer> {
  const { data, ...header } = message.t === 'data' ? message : { ...message, data: undefined }
  const json = utf8(toJson(header))
  if (4 + json.length + (data?.length ?? 0) > MAX_FRAME)
    throw new AppError('invalid-input', `A message is larger than ${MAX_FRAME / 1024 ** 2} MiB and cannot be sent.`)
  const frame = new Uint8Array(4 + json.length + (data?.length ?? 0))
  new DataView(frame.buffer).setUint32(0, json.length)
  frame.set(json, 4)
  if (data) frame.set(data, 4 + json.length)
  return frame
}

/** @throws AppError `invalid-input` for anything that is not a frame */
export function decodeFrame(frame: Uint8Array): WireMessage {
  const bad = (why: string): AppError => new AppError('invalid-input', `A message could not be read: ${why}.`)
  if (frame.length < 4 || frame.length > MAX_FRAME) throw bad('its length is wrong')
  const length = new DataView(frame.buffer, frame.byteOffset, frame.byteLength).getUint32(0)
  if (length > frame.length - 4) throw bad('it is cut short')
  let header: unknown
  try {
    header = JSON.parse(decoder.decode(frame.subarray(4, 4 + length)))
  } catch {
    throw bad('it is not JSON')
  }
  if (typeof header !== 'object' || header === null) throw bad('it is not an object')
  if ((header as { t?: unknown }).t === 'data') (header as { data?: Uint8Array }).data = frame.slice(4 + length)
  if (!isWireMessage(header)) throw bad('its kind is unknown or a field is missing')
  return header
}

function toJson(header: unknown): string {
  try {
    return JSON.stringify(header)
  } catch (error) {
    throw new AppError('invalid-input', 'A message contains something that cannot be sent.', {}, error)
  }
}

/** Cuts a byte stream into frames. `push` returns the frames that are complete; it throws when a length is over MAX_FRAME. */
export class FrameSplitter {
  #rest: Uint8Array[] = []
  #have = 0

  push(bytes: Uint8Array): Uint8Array[] {
    this.#rest.push(bytes)
    this.#have += bytes.length
    const frames: Uint8Array[] = []
    for (;;) {
      if (this.#have < 4) return frames
      let all = this.#rest[0]!
      if (all.length < 4) all = this.#join()
      const length = new DataView(all.buffer, all.byteOffset, all.byteLength).getUint32(0)
      if (length > MAX_FRAME) throw new AppError('invalid-input', 'A message is too large.')
      if (this.#have < 4 + length) return frames
      all = this.#join()
      frames.push(all.subarray(4, 4 + length))
      this.#rest = all.length > 4 + length ? [all.subarray(4 + length)] : []
      this.#have -= 4 + length
    }
  }

  #join(): Uint8Array {
    const all = this.#rest.length === 1 ? this.#rest[0]! : concatBytes(this.#rest)
    this.#rest = [all]
    return all
  }
}

/** A frame with its length in front, for byte streams. */
export function withLength(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(4 + frame.length)
  new DataView(out.buffer).setUint32(0, frame.length)
  out.set(frame, 4)
  return out
}
