/** The `machines` service: the library's bundles, each with what runs of it. */
import type { MachineChange, machines, MachineView } from '../../../src-shared/api/machines.ts'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import type { Library } from '../library/library.ts'
import { AT_REST, machineView } from './machine-view.ts'

export class MachineService implements Disposable {
  #library: Library
  #store = new DisposableStore()
  #changed = new Emitter<MachineChange>()

  readonly handlers: Handlers<typeof machines>

  constructor(library: Library) {
    this.#library = library
    this.#store.add(
      library.onChanged((change) =>
        this.#changed.fire(change.kind === 'removed' ? change : { kind: 'put', machine: machineView(change.bundle, AT_REST) }),
      ),
    )
    const later = (): never => {
      throw new AppError('unsupported', 'Not built yet.')
    }
    this.handlers = {
      list: async () => {
        await library.ready
        return this.views()
      },
      get: async ({ id }) => {
        await library.ready
        const bundle = library.get(id)
        if (!bundle) throw new AppError('not-found', 'There is no such machine.', { subject: id })
        return machineView(bundle, AT_REST)
      },
      changed: this.#changed.event,
      suggestName: ({ wish }) => ({ name: library.suggestName(wish) }),
      create: later,
      duplicate: later,
      update: later,
      trash: later,
      restore: later,
      open: later,
      forget: later,
      start: later,
      pause: later,
      resume: later,
      powerButton: later,
      powerOff: later,
      reset: later,
      suspend: later,
      discardSuspend: later,
      waitBooted: later,
      console: later,
      type: later,
    }
  }

  views(): MachineView[] {
    return [...this.#library.bundles()].map((bundle) => machineView(bundle, AT_REST))
  }

  dispose(): void {
    this.#store.dispose()
    this.#changed.dispose()
  }
}
