/**
 * What a command in a guest gives back over one byte stream: frames of a kind (one byte), a length (four bytes, big-endian) and so many bytes.
 * The other direction has no frames: it is the command's standard input.
 */
import { z } from 'zod'
import { concatBytes, utf8 } from '../base/bytes.ts'
import { AppError } from '../errors/app-error.ts'

const KINDS = { out: 1, err: 2, end: 3 } as const
const HEADER = 5
/** Bytes of one frame's contents. */
export const MAX_FRAME = 1024 * 1024

const endSchema = z.strictObject({
  /** As the guest's system counts; null where a signal ended it. */
  exitCode: z.number().int().nullable(),
  signal: z.number().int().nullable(),
  /** The agent did not keep all output. */
  truncated: z.boolean(),
})
export type ExecEnd = z.output<typeof endSchema>

export type ExecFrame = { kind: 'out' | 'err'; bytes: Uint8Array<ArrayBuffer> } | { kind: 'end'; end: ExecEnd }

/** Output of any length, as one or more frames. */
export function encodeOutput(kind: 'out' | 'err', bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const frames: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += MAX_FRAME) frames.push(...frame(KINDS[kind], bytes.subarray(at, at + MAX_FRAME)))
  return concatBytes(frames)
}

export function encodeEnd(end: ExecEnd): Uint8Array<ArrayBuffer> {
  return concatBytes(frame(KINDS.end, utf8(JSON.stringify(end))))
}

function frame(kind: number, bytes: Uint8Array): Uint8Array[] {
  const header = new Uint8Array(HEADER)
  header[0] = kind
  new DataView(header.buffer).setUint32(1, bytes.length)
  return [header, bytes]
}

/** Takes the stream's bytes as they come. */
export class ExecFrames {
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array()

  /**
   * @returns the frames that these bytes complete
   * @throws AppError `corrupt`
   */
  push(bytes: Uint8Array): ExecFrame[] {
    const all = concatBytes([this.#rest, bytes])
    const frames: ExecFrame[] = []
    let at = 0
    while (all.length - at >= HEADER) {
      const length = new DataView(all.buffer, at + 1).getUint32(0)
      if (length > MAX_FRAME) throw corrupt()
      if (all.length - at - HEADER < length) break
      frames.push(parse(all[at]!, all.slice(at + HEADER, at + HEADER + length)))
      at += HEADER + length
    }
    this.#rest = all.slice(at)
    return frames
  }
}

function parse(kind: number, bytes: Uint8Array<ArrayBuffer>): ExecFrame {
  if (kind === KINDS.out) return { kind: 'out', bytes }
  if (kind === KINDS.err) return { kind: 'err', bytes }
  if (kind !== KINDS.end) throw corrupt()
  try {
    return { kind: 'end', end: endSchema.parse(JSON.parse(new TextDecoder().decode(bytes))) }
  } catch (error) {
    throw corrupt(error)
  }
}

function corrupt(cause?: unknown): AppError {
  return new AppError('corrupt', 'What came back from the command in the guest cannot be understood.', {}, cause)
}
