/** Tells of networks what is not as it was told last, once for all that changes at a time. */
import { isDeepStrictEqual } from 'node:util'
import type { NetworkChange, NetworkView, NicView } from '../../../src-shared/api/networks.ts'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import type { Networks } from '../../../src-shared/model/network.ts'
import { looseNics, networkViews, routerViews, type NetworkFacts } from './network-views.ts'

export class NetworkTeller implements Disposable {
  #facts: () => NetworkFacts
  #views: ReadonlyMap<string, NetworkView>
  #loose: NicView[]
  #document: Networks
  #telling = false
  #disposed = false
  #changed = new Emitter<NetworkChange>()

  readonly onChanged: Event<NetworkChange> = this.#changed.event

  /** @param facts as they are when it is called */
  constructor(facts: () => NetworkFacts) {
    this.#facts = facts
    const now = facts()
    this.#views = byName(now)
    this.#loose = looseNics(now)
    this.#document = now.document
  }

  /** Something may have changed. */
  tell(): void {
    if (this.#telling || this.#disposed) return
    this.#telling = true
    setImmediate(() => {
      this.#telling = false
      if (!this.#disposed) this.#tellNow()
    })
  }

  /** The document changed. */
  tellDocument(now: Networks): void {
    const before = this.#document
    this.#document = now
    for (const { name } of before.routers)
      if (!now.routers.some((router) => router.name === name)) this.#changed.fire({ kind: 'routerRemoved', name })
    const routersBefore = routerViews({ document: before })
    for (const router of routerViews({ document: now }))
      if (!routersBefore.some((one) => isDeepStrictEqual(one, router))) this.#changed.fire({ kind: 'router', router })
    if (!isDeepStrictEqual(before.map, now.map)) this.#changed.fire({ kind: 'map', map: now.map })
    this.tell()
  }

  dispose(): void {
    this.#disposed = true
    this.#changed.dispose()
  }

  #tellNow(): void {
    const facts = this.#facts()
    const before = this.#views
    this.#views = byName(facts)
    const loose = looseNics(facts)
    if (!isDeepStrictEqual(loose, this.#loose)) this.#changed.fire({ kind: 'loose', nics: loose })
    this.#loose = loose
    for (const name of before.keys()) if (!this.#views.has(name)) this.#changed.fire({ kind: 'removed', name })
    for (const [name, network] of this.#views)
      if (!isDeepStrictEqual(before.get(name), network)) this.#changed.fire({ kind: 'put', network })
  }
}

function byName(facts: NetworkFacts): Map<string, NetworkView> {
  return new Map(networkViews(facts).map((view) => [view.network.name, view]))
}
