/** Everything that the window knows, in one place: read from the top. */
import { DisposableStore, type Disposable } from '../../src-shared/base/disposable.ts'
import type { HostInfo } from '../../src-shared/api/system.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { isActive } from '../../src-shared/model/machine-state.ts'
import type { HostLink, LinkStatus } from '../client/host-link.ts'
import { hostOf, type Host } from '../client/host.ts'
import { Dialogs } from './dialogs.svelte.ts'
import { Library } from './library.svelte.ts'
import { Load } from './load.svelte.ts'
import { Networks } from './networks.svelte.ts'
import { Route } from './route.svelte.ts'
import { SettingsState } from './settings-state.svelte.ts'
import { toastError } from '../ui/toasts.svelte.ts'
import { TaskList } from './task-list.svelte.ts'

export class WindowState implements Disposable {
  readonly host: Host
  readonly library: Library
  readonly taskList: TaskList
  readonly settings: SettingsState
  readonly networks: Networks
  readonly load: Load
  readonly route = new Route()
  readonly dialogs = new Dialogs()

  linkStatus = $state<LinkStatus>('connecting')
  /** Counts the connections: streams that ended with one are opened again when it grows. */
  connection = $state(0)
  info = $state.raw<HostInfo | null>(null)
  /** Why the host is about to end, once it said so. */
  quitting = $state<string | null>(null)

  #link: HostLink
  #store = new DisposableStore()
  #parts = new Map<unknown, Disposable>()

  constructor(link: HostLink) {
    this.#link = link
    this.host = hostOf(link)
    this.library = this.#store.add(new Library(this.host))
    this.taskList = this.#store.add(new TaskList(this.host))
    this.settings = this.#store.add(new SettingsState(this.host))
    this.networks = this.#store.add(new Networks(this.host))
    this.load = new Load(this.host)
    this.linkStatus = link.status
    this.#store.add(
      // Where its page is open, it stands there; of one that is off, whoever started it hears of it.
      this.library.onFailed(({ id, state, lastError }) => {
        if (lastError && isActive(state) && !this.route.shows(id)) toastError(AppError.fromWire(lastError))
      }),
    )
    this.#store.add(this.host.system.quitting(({ reason }) => (this.quitting = reason)))
    this.#store.add(
      link.onStatus((status) => {
        this.linkStatus = status
        if (status === 'open') void this.#connected()
      }),
    )
    this.#store.add(link)
  }

  /** Begins to connect; the state fills when the host answers. */
  start(): void {
    this.#link.connect()
  }

  retry(): void {
    this.#link.connect()
  }

  /** What a page keeps beyond its own life (terminals, drafts): made when first asked for, ended with the window. */
  part<T extends Disposable>(kind: new (host: Host) => T): T {
    let part = this.#parts.get(kind) as T | undefined
    if (!part) {
      part = this.#store.add(new kind(this.host))
      this.#parts.set(kind, part)
    }
    return part
  }

  async #connected(): Promise<void> {
    this.connection++
    this.quitting = null
    await Promise.allSettled([
      this.library.load(),
      this.taskList.load(),
      this.settings.load(),
      this.networks.load(),
      this.host.system.info({}).then((info) => (this.info = info)),
    ])
  }

  dispose(): void {
    this.#store.dispose()
  }
}
