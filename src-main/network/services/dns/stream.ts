/**
 * DNS over a machine's TCP connection to the gateway (RFC 7766): as many questions as it likes, one after the other or at once (6.2.1.1), answered as they get ready.
 */
import type { Clock } from '../../clock.ts'
import type { DnsServer } from './server.ts'
import { frameMessage, splitMessages } from './tcp-messages.ts'

/** ms without a question after which a connection is ended (6.2.3). */
const IDLE_TIME = 10_000
/** Questions of one connection that wait. */
const MAX_WAITING = 32

/** As NAT hands over connections to the gateway's own address. */
export interface DnsStream {
  readonly sourceMac: number
  receive: (bytes: Uint8Array | null) => void
  closed: () => void
  write(bytes: Uint8Array): boolean
  end(): void
  reset(): void
}

export function serveDnsStream(server: Pick<DnsServer, 'answer'>, clock: Clock, stream: DnsStream): void {
  const messages = splitMessages()
  let waiting = 0
  let state: 'open' | 'ended' | 'closed' = 'open'
  const close = (how: 'end' | 'reset'): void => {
    if (state === 'closed') return
    state = 'closed'
    idle.dispose()
    stream[how]()
  }
  const startIdle = () => clock.after(IDLE_TIME, () => close('end'))
  let idle = startIdle()
  const answer = async (query: Uint8Array): Promise<void> => {
    waiting++
    const bytes = await server.answer(query, 'tcp', stream.sourceMac)
    waiting--
    if (state === 'closed') return
    // Nothing sensible was asked, or the machine does not read.
    if (!bytes || !stream.write(frameMessage(bytes))) close('reset')
    else if (state === 'ended' && waiting === 0) close('end')
  }
  stream.receive = (bytes) => {
    if (state !== 'open') return
    if (bytes === null) {
      state = 'ended'
      if (waiting === 0) close('end')
      return
    }
    idle.dispose()
    idle = startIdle()
    for (const message of messages(bytes)) {
      if (waiting >= MAX_WAITING) {
        close('reset')
        return
      }
      void answer(message)
    }
  }
  stream.closed = () => {
    state = 'closed'
    idle.dispose()
  }
}
