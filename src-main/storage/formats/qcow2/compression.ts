/** Compressed clusters (qcow2.rst, "Compressed Clusters Descriptor" and field `compression_type`): raw deflate (RFC 1951) or Zstandard (RFC 8878). */
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { zstdFrameLength } from './zstd-frame.ts'

type Transform = (bytes: Uint8Array, options: object) => Promise<Uint8Array>

const inflateRaw = promisify(zlib.inflateRaw) as Transform
const deflateRaw = promisify(zlib.deflateRaw) as Transform
/** QEMU's decoder has a window of 4 KiB, so nothing may refer further back. */
const DEFLATE_OPTIONS = { windowBits: 12, memLevel: 9 }

/**
 * @param stored may go on after the compressed bytes
 * @returns `length` bytes; null: it is not the compressed form of that many
 * @throws AppError `unsupported`: Zstandard, where this Node has none
 */
export async function decompress(stored: Uint8Array, length: number, method: 'zlib' | 'zstd'): Promise<Uint8Array | null> {
  const bytes = await (method === 'zlib' ? inflate(stored, length) : zstdDecompress(stored, length))
  return bytes?.length === length ? bytes : null
}

/** @throws AppError `unsupported`: Zstandard, where this Node has none */
export async function compress(bytes: Uint8Array, method: 'zlib' | 'zstd'): Promise<Uint8Array> {
  return method === 'zlib' ? deflateRaw(bytes, DEFLATE_OPTIONS) : zstd('zstdCompress')(bytes, {})
}

async function inflate(stored: Uint8Array, length: number): Promise<Uint8Array | null> {
  try {
    return await inflateRaw(stored, { maxOutputLength: length })
  } catch {
    return null
  }
}

async function zstdDecompress(stored: Uint8Array, length: number): Promise<Uint8Array | null> {
  const run = zstd('zstdDecompress')
  // What follows the frame is not for the decoder, which would take it for another one.
  const frame = zstdFrameLength(stored)
  if (frame === null) return null
  try {
    return await run(stored.subarray(0, frame), { maxOutputLength: length })
  } catch {
    return null
  }
}

/** Node has Zstandard since 22.15. */
function zstd(name: 'zstdCompress' | 'zstdDecompress'): Transform {
  if (!(name in zlib)) throw new AppError('unsupported', 'Disk images compressed with Zstandard need Node 22.15 or newer.')
  return promisify(zlib[name]) as Transform
}
