/** What a network asks of its NAT: the way of its machines to what the host reaches, by ordinary sockets of this process. Made by `UserNat` (user-nat.ts). */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { Event } from '../../../src-shared/base/event.ts'
import type { WireError } from '../../../src-shared/errors/app-error.ts'
import type { IpAddress, Subnet } from '../../../src-shared/model/ip.ts'
import type { IncomingPacket } from '../ip-output.ts'

export interface NatOptions {
  /** host-only: nothing but forwards and services. */
  kind: 'nat' | 'host-only'
  /** The gateway's own addresses. */
  gateway: { ipv4: IpAddress | null; ipv6: IpAddress | null }
  /** The network's own: never reached through the host. */
  subnets: readonly Subnet[]
  /** The gateway's address reaches the host's loopback. */
  hostAccess: boolean
  /** Link-local addresses and those of clouds' secrets may be reached. */
  linkLocalAccess: boolean
}

/** A forward whose machine has been looked up. */
export interface ResolvedForward {
  id: string
  protocol: 'tcp' | 'udp'
  /** Where the host listens; of either family, whatever the guest's is. */
  hostAddress: string
  hostPort: number
  /** Null: the machine has no address yet. Connections wait a little for one. */
  guest: IpAddress | null
  guestPort: number
}

/** Why each forward does not listen, by its id; null: it does. */
export type ForwardStates = Record<string, WireError | null>

/** A machine's TCP connection to a service of the gateway. */
export interface LocalStream {
  readonly source: IpAddress
  readonly sourcePort: number
  readonly sourceMac: number
  /** Gets the machine's bytes, lent for the call, and null once when it has ended its side. To be set in `accept`. */
  receive: (bytes: Uint8Array | null) => void
  /** Called once, when nothing passes any more, however that came. To be set in `accept`. */
  closed: () => void
  /** Copied. False: the machine does not read, and as much waits for it as may (64 KiB); none of it is taken. */
  write(bytes: Uint8Array): boolean
  /** Nothing more is written; what was, is still sent. */
  end(): void
  /** Ends both ways at once (RST). */
  reset(): void
}

export interface Nat extends Disposable {
  /** A whole packet (no fragment) for none of the gateway's UDP services and echo: TCP to anywhere, UDP and ICMP to outside. Never throws. */
  receive(packet: IncomingPacket): void
  /** What did not change goes on undisturbed, with its connections. */
  setForwards(forwards: readonly ResolvedForward[]): void
  /** Flows that the new options forbid are ended. */
  update(options: NatOptions): void
  /** Ends the flows of a machine's address with RST both ways; null: all of them. Forwards go on listening. */
  closeFlows(address: IpAddress | null): void
  /** A service on the gateway's addresses. One for each port. */
  listenTcp(port: number, accept: (stream: LocalStream) => void): Disposable
  readonly flows: { tcp: number; udp: number }
  readonly forwards: ForwardStates
  readonly onForwards: Event<ForwardStates>
  /** Whether machines can ping what is outside: null while nobody tried. */
  readonly echo: 'works' | 'unsupported' | null
}
