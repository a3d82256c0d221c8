/** Bytes that are there already, as the whole of a stream. */
import { asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../../src-shared/rpc/byte-stream.ts'

/** Sends them as fast as they are taken, and ends the stream. @param doing for the error: "Sending the picture" @returns the opening */
export function sendBytes(bytes: Uint8Array, stream: ByteStream, doing: string): { bytes: number } {
  void stream
    .write(bytes)
    .then(() => stream.end())
    .catch((error: unknown) => stream.close(asAppError(error, doing)))
  return { bytes: bytes.length }
}
