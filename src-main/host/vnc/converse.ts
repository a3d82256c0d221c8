import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { Handshake } from './handshake.ts'

/**
 * Carries a handshake out over a stream.
 * @returns its result, and bytes that came behind it
 * @throws what the handshake or the stream throws; AppError `disconnected` where the stream ends before
 */
export async function converse<Result>(
  stream: Pick<ByteStream, 'read' | 'write'>,
  handshake: Handshake<Result>,
): Promise<{ result: Result; rest: Uint8Array }> {
  let rest: Uint8Array = new Uint8Array(0)
  let step = handshake.next()
  while (!step.done) {
    const { send, want } = step.value
    if (send.length > 0) await stream.write(send)
    while (rest.length < want) {
      const bytes = await stream.read()
      if (!bytes) throw new AppError('disconnected', 'The other end left during the handshake.')
      rest = concatBytes([rest, bytes])
    }
    step = handshake.next(rest.subarray(0, want))
    rest = rest.slice(want)
  }
  return { result: step.value, rest }
}
