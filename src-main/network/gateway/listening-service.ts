import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { UdpService, UdpServices } from './udp-service.ts'

/** A service of a gateway that is there while there are settings for it. */
export class ListeningService<
  Settings,
  Service extends UdpService & Partial<Disposable> & { configure?(settings: Settings): void },
> implements Disposable {
  #udp: UdpServices
  #make: (settings: Settings) => Service
  #service: Service | null = null
  #listening: Disposable | null = null

  constructor(udp: UdpServices, make: (settings: Settings) => Service) {
    this.#udp = udp
    this.#make = make
  }

  /** Null where it is not there. */
  get service(): Service | null {
    return this.#service
  }

  /** In force from now on. @param settings null: it is not to be there */
  configure(settings: Settings | null): void {
    if (settings === null) this.dispose()
    else if (this.#service) this.#service.configure?.(settings)
    else {
      this.#service = this.#make(settings)
      this.#listening = this.#udp.listen(this.#service)
    }
  }

  dispose(): void {
    this.#listening?.dispose()
    this.#service?.dispose?.()
    this.#listening = this.#service = null
  }
}
