/**
 * NTP (RFC 5905, 9.2 and 14: a server that keeps no state of its clients). It tells this computer's clock, of which nothing more is known than that people rely on it: so
 * the source is given as a local clock that nothing disciplines, far from the top (stratum 10, as chrony and ntpd have it for such clocks), and right to a tenth of a
 * second. Clients take it where they have no better one.
 */
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import type { Clock } from '../../clock.ts'
import type { UdpReply, UdpRequest, UdpService } from '../../gateway/udp-service.ts'
import { buildNtp, MODE, parseNtp, toTimestamp } from './codec.ts'

const PORT = 123
const STRATUM = 10
/** Seconds. */
const DISPERSION = 0.1
/** The clock counts ms: 2^-10 s. */
const PRECISION = -10
/** Figure 12: an uncalibrated local clock. */
const REFERENCE = utf8('LOCL')

export class NtpServer implements UdpService {
  readonly port = PORT
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  receive({ payload }: UdpRequest, reply: UdpReply): void {
    const request = parseNtp(payload)
    if (!request || request.version < 1 || request.version > 4) return
    // Windows asks as a peer, and takes a peer's answer.
    const mode = { [MODE.client]: MODE.server, [MODE.symmetricActive]: MODE.symmetricPassive }[request.mode]
    if (mode === undefined) return
    const now = toTimestamp(this.#clock.date())
    reply(
      buildNtp({
        leap: 0,
        version: request.version,
        mode,
        stratum: STRATUM,
        poll: request.poll,
        precision: PRECISION,
        rootDelay: 0,
        rootDispersion: DISPERSION,
        reference: REFERENCE,
        updated: now,
        origin: request.sent,
        received: now,
        sent: now,
      }),
    )
  }
}
