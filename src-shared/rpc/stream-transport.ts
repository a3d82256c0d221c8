import type { StreamTransport } from './byte-stream.ts'
import type { Wire } from './wire.ts'

/** The stream `id` on a wire that other exchanges share. */
export function streamTransport(wire: Wire, id: number): StreamTransport {
  return {
    data: (data) => wire.post({ t: 'data', id, data }, [data.buffer]),
    credit: (bytes) => wire.post({ t: 'credit', id, bytes }),
    end: () => wire.post({ t: 'end', id }),
    close: (error) => wire.post(error ? { t: 'close', id, error } : { t: 'close', id }),
  }
}
