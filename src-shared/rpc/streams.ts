/** The streams of one wire, by the id of the exchange that opened each. Both ends of a wire keep theirs so. */
import { AppError } from '../errors/app-error.ts'
import { WireByteStream } from './byte-stream.ts'
import type { Wire, WireMessage } from './wire.ts'

export class Streams {
  #wire: Wire
  #open = new Map<number, WireByteStream>()

  constructor(wire: Wire) {
    this.#wire = wire
  }

  get size(): number {
    return this.#open.size
  }

  has(id: number): boolean {
    return this.#open.has(id)
  }

  /** A new stream, kept until it closes. */
  open(id: number): WireByteStream {
    const wire = this.#wire
    const stream = new WireByteStream({
      data: (data) => wire.post({ t: 'data', id, data }, [data.buffer]),
      credit: (bytes) => wire.post({ t: 'credit', id, bytes }),
      end: () => wire.post({ t: 'end', id }),
      close: (error) => wire.post(error ? { t: 'close', id, error } : { t: 'close', id }),
    })
    this.#open.set(id, stream)
    stream.onClose(() => this.#open.delete(id))
    return stream
  }

  /** Hands a message to its stream; what is for none is ignored: it crossed the stream's close. */
  receive(message: WireMessage): void {
    const stream = this.#open.get(message.id)
    if (!stream) return
    if (message.t === 'data') stream.receiveData(message.data)
    else if (message.t === 'credit') stream.receiveCredit(message.bytes)
    else if (message.t === 'end') stream.receiveEnd()
    else if (message.t === 'close') stream.receiveClose(message.error && AppError.fromWire(message.error))
  }

  /** The wire is gone, and all streams with it. */
  closeAll(error: () => AppError): void {
    for (const stream of [...this.#open.values()]) stream.receiveClose(error())
  }
}
