/** Two ends of a ByteStream with its real credit, joined in memory. */
import { AppError } from '../../src-shared/errors/app-error.ts'
import { WireByteStream, type ByteStream, type StreamTransport } from '../../src-shared/rpc/byte-stream.ts'

export function streamPair(): [ByteStream, ByteStream] {
  const transport = (peer: () => WireByteStream): StreamTransport => ({
    data: (bytes) => queueMicrotask(() => peer().receiveData(bytes)),
    credit: (bytes) => queueMicrotask(() => peer().receiveCredit(bytes)),
    end: () => queueMicrotask(() => peer().receiveEnd()),
    close: (error) => queueMicrotask(() => peer().receiveClose(error && AppError.fromWire(error))),
  })
  const near: WireByteStream = new WireByteStream(transport(() => far))
  const far: WireByteStream = new WireByteStream(transport(() => near))
  return [near, far]
}
