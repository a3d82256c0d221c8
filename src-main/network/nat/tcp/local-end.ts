/** A service of the gateway as the other end of a machine's connection. */
import type { LocalStream } from '../nat.ts'
import type { HostEnd, HostEvents } from './host-end.ts'

/** Bytes that wait for a machine which does not read. */
const MAX_WAITING = 64 * 1024

/** Ready at once: a turn later the service has its stream. */
export function localEnd(
  from: Pick<LocalStream, 'source' | 'sourcePort' | 'sourceMac'>,
  events: HostEvents,
  accept: (stream: LocalStream) => void,
): HostEnd {
  let waiting: Uint8Array[] = []
  let bytesWaiting = 0
  let full = false
  let gone = false
  const over = { reading: false, writing: false }

  const send = (bytes: Uint8Array): void => {
    full = !events.data(bytes)
  }
  const finish = (): void => {
    if (gone || !over.reading || !over.writing || waiting.length > 0) return
    gone = true
    stream.closed()
    events.closed(null)
  }
  const stream: LocalStream = {
    ...from,
    receive: () => {},
    closed: () => {},
    write(bytes) {
      if (gone || over.writing || bytesWaiting + bytes.length > MAX_WAITING) return false
      if (!full) send(bytes)
      else {
        waiting.push(bytes.slice())
        bytesWaiting += bytes.length
      }
      return true
    },
    end() {
      if (gone || over.writing) return
      over.writing = true
      if (waiting.length === 0) events.ended()
      finish()
    },
    reset() {
      if (gone) return
      gone = true
      stream.closed()
      events.closed('ECONNRESET')
    },
  }
  queueMicrotask(() => {
    if (gone) return
    accept(stream)
    events.connected()
  })
  return {
    backlog: 0,
    write(first, second) {
      stream.receive(first)
      if (second && !gone) stream.receive(second)
    },
    end() {
      over.reading = true
      if (!gone) stream.receive(null)
      finish()
    },
    pause() {
      full = true
    },
    resume() {
      full = false
      while (waiting.length > 0 && !full) {
        const bytes = waiting.shift()!
        bytesWaiting -= bytes.length
        send(bytes)
      }
      if (waiting.length > 0) return
      if (over.writing && !gone) events.ended()
      finish()
    },
    destroy() {
      if (gone) return
      gone = true
      waiting = []
      stream.closed()
    },
  }
}
