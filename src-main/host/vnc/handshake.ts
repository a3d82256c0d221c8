/**
 * The two handshakes of an exported screen (RFC 6143, sections 7.1.1 to 7.1.3): ours with a viewer, which needs the password, and ours with the engine,
 * which needs none. Behind ClientInit both speak the same protocol, and bytes are passed on as they are. The viewer's own ClientInit is not: viewers
 * that do not ask for sharing would be refused by engines that always share. Pure: each is a generator that says what to send and how many bytes it
 * wants then.
 */
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { RFB_VERSION, rfbMinor, SECURITY_NONE, type RfbMinor } from '../../../src-shared/model/rfb.ts'
import { CHALLENGE_BYTES } from './auth.ts'

export interface Step {
  send: Uint8Array
  /** Bytes that the other end has to send next. */
  want: number
}
export type Handshake<Result> = Generator<Step, Result, Uint8Array>

const VERSION = utf8(RFB_VERSION)
const SECURITY_VNC = 2
const NOTHING = new Uint8Array(0)
/** ClientInit (section 7.3.1): others may look, too. */
const SHARED = Uint8Array.of(1)

/** What a viewer has to pass. */
export interface Gate {
  /** Why nobody may try now, as a sentence for the viewer; null where they may. Asked before the challenge, and again when it is answered. */
  closed(): string | null
  /** CHALLENGE_BYTES of random bytes. */
  challenge: Uint8Array
  accepts(answer: Uint8Array): boolean
}

/**
 * Up to and with the viewer's ClientInit.
 * @returns whether the viewer may go on; if not, close its stream
 * @throws AppError `invalid-input` where the other end is no VNC viewer
 */
export function* admitViewer(gate: Gate): Handshake<boolean> {
  const minor = parseVersion(yield { send: VERSION, want: VERSION.length })
  const closed = gate.closed()
  // No security type at all, and why (section 7.1.2).
  if (closed !== null) return yield* refuse(concatBytes([new Uint8Array(minor === 3 ? 4 : 1), reason(closed)]))
  if (minor === 3) {
    // The server decides (appendix A).
    yield { send: Uint8Array.of(0, 0, 0, SECURITY_VNC), want: 0 }
  } else {
    const [chosen] = yield { send: Uint8Array.of(1, SECURITY_VNC), want: 1 }
    if (chosen !== SECURITY_VNC) return yield* refuse(failure(minor, 'This screen needs a VNC password.'))
  }
  const answer = yield { send: gate.challenge, want: CHALLENGE_BYTES }
  const meanwhile = gate.closed()
  if (meanwhile !== null) return yield* refuse(failure(minor, meanwhile))
  if (!gate.accepts(answer)) return yield* refuse(failure(minor, 'The password is wrong.'))
  yield { send: new Uint8Array(4), want: 1 }
  return true
}

function* refuse(message: Uint8Array): Handshake<false> {
  yield { send: message, want: 0 }
  return false
}

/** SecurityResult (section 7.1.3); viewers before 3.8 take no reason. */
function failure(minor: RfbMinor, why: string): Uint8Array {
  const failed = Uint8Array.of(0, 0, 0, 1)
  return minor === 8 ? concatBytes([failed, reason(why)]) : failed
}

function reason(text: string): Uint8Array {
  const bytes = utf8(text)
  return concatBytes([Uint8Array.of(0, 0, bytes.length >> 8, bytes.length & 255), bytes])
}

function parseVersion(bytes: Uint8Array): RfbMinor {
  const minor = rfbMinor(bytes)
  if (minor === null) throw new AppError('invalid-input', 'What connected is no VNC viewer: it does not name its RFB version.')
  return minor
}

/**
 * Ours with an engine, which speaks RFB 3.8 with the security type None, up to and with ClientInit.
 * @throws AppError `internal` where it does not
 */
export function* joinEngine(): Handshake<void> {
  const broken = new AppError('internal', 'The machine’s screen does not speak as it should.')
  const version = yield { send: NOTHING, want: VERSION.length }
  if (!version.every((byte, at) => byte === VERSION[at])) throw broken
  const [count] = yield { send: VERSION, want: 1 }
  const types = yield { send: NOTHING, want: count! }
  if (!types.includes(SECURITY_NONE)) throw broken
  const result = yield { send: Uint8Array.of(SECURITY_NONE), want: 4 }
  if (result.some((byte) => byte !== 0)) throw broken
  yield { send: SHARED, want: 0 }
}
