/** The `machines` service: the library's bundles, each with what runs of it. */
import type { MachineChange, machines, MachineView } from '../../../src-shared/api/machines.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, nextValue, type Event } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachinePatch } from '../../../src-shared/model/machine.ts'
import { isActive, isEditable } from '../../../src-shared/model/machine-state.ts'
import type { RunEnd } from '../../../src-shared/model/run.ts'
import type { CallContext, Handlers } from '../../../src-shared/rpc/service.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import { ImageNeeds, refuseNeeded } from '../images/image-needs.ts'
import { bundlePaths } from '../library/bundle.ts'
import type { Bundle } from '../library/identity.ts'
import type { LibraryChange } from '../library/library.ts'
import { mapLimit } from '../library/map-limit.ts'
import { readVncPassword } from '../vnc/password-file.ts'
import { createMachine, type MakerParts } from './making/create-machine.ts'
import { duplicateMachine } from './making/duplicate-machine.ts'
import { withFormats } from './making/drive-formats.ts'
import { considerMachine, openBundle, restoreMachine, trashMachine, updateMachine } from './making/edit-machine.ts'
import { HeartbeatMonitor } from './running/heartbeat.ts'
import { askAddresses, openExec } from './guest/machine-agent.ts'
import { openConsole, typeText } from './guest/machine-console.ts'
import { openDisplay, sendScreenshot } from './guest/machine-display.ts'
import { Machine, type MachineParts } from './machine.ts'
import { VncExports } from './guest/vnc-exports.ts'
import { considerNew } from './making/sketch-machine.ts'
import { wrongState } from './wrong-state.ts'

/** Locks that are looked at at once. */
const LOCK_READERS = 32

export type MachineServiceParts = MachineParts &
  MakerParts & {
    /** Starts one, or lets it go on from being suspended, with what is to be done before and after. */
    begin<T>(machine: Machine, end: RunEnd | undefined, start: () => Promise<T>): Promise<T>
  }

export class MachineService implements Disposable {
  #parts: MachineServiceParts
  #machines = new Map<string, Machine>()
  #store = new DisposableStore()
  #changed = new Emitter<MachineChange>()
  #activeChanged = new Emitter<void>()
  #active = new Set<string>()
  #monitor: HeartbeatMonitor
  #needs: ImageNeeds
  #vnc: VncExports
  #closed = false

  /** Resolves when the library was read and everything that runs from before is known. Never rejects. */
  #known: Promise<void>

  /** Fires when something that is seen of a machine changes. */
  readonly onChanged: Event<MachineChange> = this.#changed.event
  /** Fires when the set of active machines changes. */
  readonly onActiveChanged: Event<void> = this.#activeChanged.event
  readonly handlers: Handlers<typeof machines>

  constructor(parts: MachineServiceParts) {
    this.#parts = parts
    const { library } = parts
    this.#monitor = this.#store.add(
      new HeartbeatMonitor(
        () => this.#beating(),
        (id, ms) => this.#onPulse(id, ms),
      ),
    )
    this.#vnc = this.#store.add(new VncExports(parts.log))
    this.#store.add(library.onChanged((change) => this.#onLibrary(change)))
    this.#known = library.ready
    this.#needs = new ImageNeeds({
      machines: () => this.all(),
      restsOn: (image) => parts.storage.use(({ rpc }) => rpc.service(storageThread).restsOn(image)),
    })
    this.handlers = {
      list: async () => {
        await this.#known
        return this.views()
      },
      get: async ({ id }) => {
        const { bundle } = await this.#find(id)
        // Its disk may have been connected since.
        if (bundle.problem) await library.refresh(bundle.folder)
        return (await this.#find(id)).view()
      },
      changed: this.#changed.event,
      suggestName: async ({ wish }) => {
        await library.ready
        return { name: library.suggestName(wish) }
      },
      create: async (request) => {
        await library.ready
        const started = await createMachine(request, parts)
        if (request.start) void this.#startWhenMade(started)
        return started
      },
      duplicate: async ({ id, name }) => this.#duplicate(await this.#find(id), name),
      consider: async ({ id, patch }) => considerMachine(await this.#find(id), patch, parts.engines),
      considerNew: (wish) => considerNew(wish, parts),
      update: ({ id, patch }, { signal }) => this.update(id, patch, signal),
      dependents: async ({ id }) => this.#needs.dependentsOf(await this.#find(id)),
      trash: async ({ id, needed }) => {
        const machine = await this.#find(id)
        if (!needed) refuseNeeded(machine.bundle.name, await this.#needs.dependentsOf(machine))
        return { trashedTo: await trashMachine(machine, library) }
      },
      restore: async ({ trashedTo }) => this.#of(await restoreMachine(trashedTo, library)).view(),
      open: async ({ bundle }) => this.#of(await openBundle(bundle, library)).view(),
      forget: async ({ id }) => this.#forget(await this.#find(id)),
      start: async ({ id, end }) => {
        const machine = await this.#find(id)
        return this.#begin(machine, end, () => machine.start())
      },
      pause: async ({ id }) => (await this.#find(id)).pause(),
      resume: async ({ id }) => {
        const machine = await this.#find(id)
        return this.#begin(machine, undefined, () => machine.resume())
      },
      powerButton: async ({ id }) => (await this.#find(id)).powerButton(),
      powerOff: async ({ id }) => (await this.#find(id)).powerOff(),
      reset: async ({ id }) => (await this.#find(id)).reset(),
      suspend: async ({ id }) => (await this.#find(id)).suspend(),
      discardSuspend: async ({ id }) => (await this.#find(id)).discardSuspend(),
      waitBooted: async ({ id }, context) => this.#waitBooted(await this.#find(id), context),
      console: async ({ id, port, from }, stream) => openConsole(await this.#find(id), port, from, stream),
      display: async ({ id }, stream) => openDisplay(await this.#find(id), stream),
      screenshot: async ({ id }, stream) => sendScreenshot(await this.#find(id), stream),
      setVncPassword: async ({ id, password }) => this.#vnc.setPassword(await this.#find(id), password),
      vncPassword: async ({ id }) => ({ password: await readVncPassword((await this.#find(id)).bundle.folder) }),
      addresses: async ({ id }) => askAddresses(await this.#find(id)),
      exec: async ({ id, command }, stream) => openExec(await this.#find(id), command, stream),
      type: async ({ id, port, text }) => {
        const machine = await this.#find(id)
        if (!machine.session) throw new AppError('wrong-state', `“${machine.bundle.name}” is not running: nothing can be typed into it.`)
        await typeText(machine.session, port, text)
      },
    }
  }

  views(): MachineView[] {
    return [...this.#machines.values()].map((machine) => machine.view())
  }

  /** All, when everything that runs from before is known. */
  async all(): Promise<Machine[]> {
    await this.#known
    return [...this.#machines.values()]
  }

  /** Those that an engine runs, with their counters. */
  /** As `machines.update`. */
  async update(id: string, patch: MachinePatch, signal: AbortSignal): Promise<MachineView> {
    const { library, storage } = this.#parts
    const machine = await this.#find(id)
    const { folder, config } = machine.bundle
    await this.#vnc.check(machine, patch)
    const drives = patch.drives && config ? await withFormats(patch.drives, config.drives, folder, storage) : null
    const isNeeded = async (): Promise<boolean> => (await this.#needs.dependentsOf(machine)).length > 0
    await updateMachine(machine, drives ? { ...patch, drives } : patch, library, signal, isNeeded, this.#parts.hasNetwork)
    if (patch.vncExport) this.#vnc.retry(machine)
    // A copy that was given a name has another id now.
    return (this.#machines.get(id) ?? this.#at(folder, patch.name)).view()
  }

  *counters(): IterableIterator<{ id: string; counters: Counters }> {
    for (const id of this.#active) {
      const session = this.#machines.get(id)?.session
      if (session) yield { id, counters: session.counters }
    }
  }

  /** What decides about engines has changed: each machine may run on another one now. */
  refreshViews(): void {
    for (const machine of this.#machines.values()) this.#changed.fire({ kind: 'put', machine: machine.view() })
  }

  /** Resolves when everything that runs from before is known: till then a machine may seem to be off. Never rejects. */
  get known(): Promise<void> {
    return this.#known
  }

  /**
   * Goes on with machines that run although their host ended, and says so of those that ended with it. Machines are not shown before.
   * @param survivors by id, with their logs' folder: a copy of a bundle has the same id and is not the machine that runs
   * @throws AppError where survivors cannot be asked for
   */
  async adopt(survivors: () => Promise<readonly { machine: string; logFolder: string }[]>): Promise<void> {
    const { ready } = this.#parts.library
    const adopting = ready.then(survivors).then((found) => Promise.all(found.map((one) => this.#adopt(one))))
    this.#known = adopting
      .then(
        () => {},
        () => {},
      )
      .then(() => this.#lookForCrashes())
    await adopting
    await this.#known
  }

  async #lookForCrashes(): Promise<void> {
    await mapLimit([...this.#machines.values()], LOCK_READERS, (machine) => machine.lookForCrash())
  }

  async #adopt({ machine: id, logFolder }: { machine: string; logFolder: string }): Promise<void> {
    const machine = this.#machines.get(id)
    if (machine && bundlePaths(machine.bundle.folder).logs === logFolder) await machine.adopt()
  }

  active(): Machine[] {
    return [...this.#machines.values()].filter((machine) => machine.session !== null || isActive(machine.state))
  }

  /** Resolves at the next change of this machine's view. */
  async nextChange(machine: Machine, signal?: AbortSignal): Promise<void> {
    await nextValue(this.#changed.event, (change) => (change.kind === 'put' ? change.machine.id : change.id) === machine.id, signal)
  }

  /** Ends every session; nothing is kept. Resolves when no thread of a machine is left. */
  async close(): Promise<void> {
    this.#closed = true
    const machines = [...this.#machines.values()]
    await Promise.all(
      machines.filter((machine) => machine.busy || machine.session || isActive(machine.state)).map((machine) => machine.kill()),
    )
    this.dispose()
  }

  dispose(): void {
    this.#store.dispose()
    this.#changed.dispose()
    this.#activeChanged.dispose()
  }

  /** @throws AppError `not-found` */
  find(id: string): Promise<Machine> {
    return this.#find(id)
  }

  async #find(id: string): Promise<Machine> {
    await this.#known
    const machine = this.#machines.get(id)
    if (!machine) throw new AppError('not-found', 'There is no such machine in the library (any more).', { subject: id })
    return machine
  }

  #of(bundle: Bundle): Machine {
    return this.#machines.get(bundle.id)!
  }

  #at(folder: string, name: string | undefined): Machine {
    const found = [...this.#machines.values()].find(({ bundle }) => bundle.folder === folder || bundle.name === name)
    if (!found) throw new AppError('not-found', 'The machine is gone.', { subject: folder })
    return found
  }

  #onLibrary(change: LibraryChange): void {
    if (change.kind === 'put') {
      const { bundle } = change
      const machine = this.#machines.get(bundle.id)
      if (machine) return machine.setBundle(bundle)
      const added = new Machine(bundle, this.#parts, () => this.#onMachine(added))
      this.#machines.set(bundle.id, added)
      this.#onMachine(added)
    } else {
      const machine = this.#machines.get(change.id)
      // What runs stays in sight until it is off.
      if (!machine || machine.session) return
      this.#machines.delete(change.id)
      this.#changed.fire({ kind: 'removed', id: change.id })
    }
  }

  #onMachine(machine: Machine): void {
    this.#vnc.follow(machine)
    const { id } = machine
    if (!machine.session && !this.#parts.library.get(id) && !isActive(machine.state)) {
      this.#machines.delete(id)
      this.#changed.fire({ kind: 'removed', id })
    } else this.#changed.fire({ kind: 'put', machine: machine.view() })
    const active = machine.session !== null
    if (active !== this.#active.has(id)) {
      if (active) this.#active.add(id)
      else this.#active.delete(id)
      this.#activeChanged.fire()
    }
    if (active || this.#monitor.on) this.#monitor.update()
  }

  *#beating(): IterableIterator<{ id: string; heartbeats: number }> {
    for (const { id, counters } of this.counters()) {
      const state = this.#machines.get(id)!.state
      if (state === 'running' || state === 'stopping') yield { id, heartbeats: counters.read().heartbeats }
    }
  }

  #onPulse(id: string, stuckForMs: number | null): void {
    const machine = this.#machines.get(id)!
    const wasStuck = machine.status.health === 'stuck'
    if (stuckForMs !== null && !wasStuck) {
      const seconds = Math.round(stuckForMs / 1000)
      machine.setStatus({
        health: 'stuck',
        healthDetail: `Its engine has not answered for ${seconds} s. Power it off if it does not come back.`,
      })
    } else if (stuckForMs === null && wasStuck) machine.setStatus({ health: 'working', healthDetail: null })
  }

  /** Its failure is the machine's own, and stands in its view. */
  /** What has to be done before may take until nothing may begin any more. */
  #begin<T>(machine: Machine, end: RunEnd | undefined, start: () => Promise<T>): Promise<T> {
    return this.#parts.begin(machine, end, async () => {
      if (this.#closed) throw new AppError('disconnected', 'Coppice is ending.')
      return start()
    })
  }

  async #startWhenMade({ task }: TaskStarted): Promise<void> {
    const { result } = await this.#parts.tasks.whenEnded(task)
    if (result?.id && !this.#closed)
      await this.#machines
        .get(result.id)
        ?.start()
        .catch(() => {})
  }

  async #duplicate(machine: Machine, name: string): Promise<TaskStarted> {
    let begun = (_: TaskStarted): void => {}
    const started = new Promise<TaskStarted>((resolveStarted) => (begun = resolveStarted))
    const held = machine.hold('being duplicated', () => {
      const { bundle, state } = machine
      const config = bundle.config ?? bundle.copy
      if (!config) throw bundle.problem ?? wrongState('duplicate', bundle.name, state)
      if (!bundle.copy && !isEditable(state)) throw wrongState('duplicate', bundle.name, state)
      return new Promise<void>((done) => {
        const task = duplicateMachine({ id: bundle.id, folder: bundle.folder, config }, name, this.#parts, () => {
          machine.setStatus({ task: null })
          done()
        })
        machine.setStatus(task)
        begun(task)
      })
    })
    return Promise.race([started, held.then(() => started)])
  }

  async #forget(machine: Machine): Promise<void> {
    await machine.hold('being forgotten', async () => {
      const { bundle, state } = machine
      if (machine.session) throw wrongState('forget', bundle.name, state)
      if (bundle.inLibrary)
        throw new AppError(
          'unsupported',
          `“${bundle.name}” stands in the library folder and cannot be forgotten. Move it to the trash instead.`,
        )
      await this.#parts.library.forget(bundle.folder)
    })
  }

  async #waitBooted(machine: Machine, { signal }: CallContext): Promise<MachineView> {
    const decided = (view: MachineView): boolean => view.bootedAt !== null || !isActive(view.state)
    let view = machine.view()
    if (!decided(view)) {
      const change = await nextValue(
        this.#changed.event,
        (next) => (next.kind === 'removed' ? next.id === machine.id : next.machine.id === machine.id && decided(next.machine)),
        signal,
      )
      view = change.kind === 'put' ? change.machine : machine.view()
    }
    if (view.bootedAt !== null && isActive(view.state)) return view
    if (view.lastError) throw AppError.fromWire(view.lastError)
    throw new AppError('wrong-state', `“${view.name}” is not running: it will not boot.`, { subject: view.name })
  }
}
