/** What a listening socket of the host needs of its NAT. */
import type { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import type { TcpFlows } from '../tcp/tcp-flows.ts'
import type { UdpFlows } from '../udp/udp-flows.ts'
import type { TimerQueue } from '../timer-queue.ts'

export interface ForwardParts {
  tcp: TcpFlows
  udp: UdpFlows
  timers: TimerQueue
  /** In whose name machines of this family are talked to; null: the network has none. */
  gateway: (family: 4 | 16) => IpAddress | null
  /** Ports of the gateway that clients of UDP forwards, of all together, are known to machines by. */
  udpAliases: Set<number>
}

/** Where its connections go; changed while it listens. */
export interface ForwardTarget {
  guest: IpAddress | null
  guestPort: number
}

export interface ForwardListener extends Disposable {
  target: ForwardTarget
  /** The target was changed. */
  retarget(): void
}

/** @param told null: it listens. Called once or again */
export type Told = (error: AppError | null) => void
