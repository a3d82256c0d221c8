/** The host itself, as its peers see it. */
import type { HostInfo, system } from '../../../src-shared/api/system.ts'
import type { Event } from '../../../src-shared/base/event.ts'
import type { Handlers, Peer } from '../../../src-shared/rpc/service.ts'
import type { DoctorSource } from './doctor.ts'
import { listFolder } from './list-folder.ts'

export interface SystemDeps {
  /** What this peer may know and use. */
  info(peer: Peer): HostInfo
  doctor: DoctorSource
  /** Ends the host; rejects where machines run that must not be ended. */
  quit(running: 'suspend' | 'powerOff' | 'refuse'): Promise<void>
  onQuitting: Event<{ reason: string }>
}

export class SystemService {
  readonly handlers: Handlers<typeof system>

  constructor({ info, doctor, quit, onQuitting }: SystemDeps) {
    this.handlers = {
      info: (_input, { peer }) => info(peer),
      doctor: () => doctor.report(),
      listFolder: ({ path }) => listFolder(path),
      quit: ({ running }) => quit(running),
      quitting: onQuitting,
    }
  }
}
