/** Reads the files of a Debian package (deb(5)): an ar archive with a compressed tar archive in it, streamed in bounded memory. */
import { open } from 'node:fs/promises'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import { AR_HEADER_SIZE, isArMagic, nextArHeader, parseArHeader } from '../archive/ar.ts'
import { TarReader, type TarEntry, type TarSink } from '../archive/tar.ts'
import { XzDecoder } from '../archive/xz.ts'

/** Members before data.tar: deb(5) has two. */
const MAX_MEMBERS = 16

export interface DebReading {
  /** Answers where an entry's contents go, or null to skip them. Names start with "./". */
  onEntry(entry: TarEntry): TarSink | null
  /** Packed bytes read so far, of how many. */
  onProgress?(done: number, total: number): void
  signal?: AbortSignal
}

/** Reads the package at `path`. Throws AppError: `corrupt`, `unsupported` (its compression), `cancelled`, or the file system's. */
export async function readDeb(path: string, reading: DebReading): Promise<void> {
  try {
    const data = await findData(path)
    const tar = new TarReader(reading.onEntry)
    await unpack(path, data, tar, reading)
    tar.end()
  } catch (error) {
    if (error instanceof AppError && error.code === 'corrupt')
      throw new AppError('corrupt', `The package ${path} cannot be read. ${error.message}`, { subject: path }, error)
    throw asAppError(error, 'Reading a package')
  }
}

/** A sink that collects an entry's contents and hands them over. */
export function collect(entry: TarEntry, done: (data: Uint8Array) => void): TarSink {
  const whole = new Uint8Array(entry.size)
  let at = 0
  return {
    data(bytes) {
      whole.set(bytes, at)
      at += bytes.length
    },
    end: () => done(whole),
  }
}

interface DataMember {
  compression: string
  /** First byte, and bytes. */
  start: number
  size: number
}

async function findData(path: string): Promise<DataMember> {
  const file = await open(path)
  try {
    const { size: fileSize } = await file.stat()
    const bytes = new Uint8Array(AR_HEADER_SIZE)
    await file.read(bytes, 0, 8, 0)
    if (!isArMagic(bytes)) throw new AppError('corrupt', 'It is not a Debian package.')
    let at = 8
    for (let member = 0; member < MAX_MEMBERS && at < fileSize; member++) {
      const { bytesRead } = await file.read(bytes, 0, AR_HEADER_SIZE, at)
      const { name, size } = parseArHeader(bytes.subarray(0, bytesRead))
      const start = at + AR_HEADER_SIZE
      if (start + size > fileSize) throw new AppError('corrupt', 'It ends too early.')
      if (name.startsWith('data.tar')) return { compression: name.slice('data.tar'.length), start, size }
      at = nextArHeader(start, size)
    }
    throw new AppError('corrupt', 'It has no data.')
  } finally {
    await file.close()
  }
}

async function unpack(path: string, data: DataMember, tar: TarReader, reading: DebReading): Promise<void> {
  const { signal, onProgress } = reading
  if (data.size === 0) return
  const source = createReadStream(path, { start: data.start, end: data.start + data.size - 1, highWaterMark: 256 * 1024 })
  let done = 0
  const counted = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      yield chunk
      done += chunk.length
      onProgress?.(done, data.size)
    }
  }
  const toTar = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) tar.push(chunk)
  }
  const options = signal ? { signal } : {}
  switch (data.compression) {
    case '.xz': {
      const xz = new XzDecoder((bytes) => tar.push(bytes))
      await pipeline(
        source,
        counted,
        async (chunks: AsyncIterable<Uint8Array>) => {
          for await (const chunk of chunks) xz.push(chunk)
          xz.end()
        },
        options,
      )
      return
    }
    case '.zst':
      return pipeline(source, counted, createZstdDecompress(), toTar, options).catch(damaged)
    case '.gz':
      return pipeline(source, counted, createGunzip(), toTar, options).catch(damaged)
    case '':
      return pipeline(source, counted, toTar, options)
    default:
      throw new AppError('unsupported', `The package ${path} is packed as ${data.compression}, which Coppice does not read.`)
  }
}

/** zlib's own errors as `corrupt`. */
function damaged(error: unknown): never {
  const code = (error as { code?: unknown }).code
  if (typeof code === 'string' && /^(Z_|ZSTD_)/.test(code)) throw new AppError('corrupt', 'Its compressed data is damaged.', {}, error)
  throw error
}
