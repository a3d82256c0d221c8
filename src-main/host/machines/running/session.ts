/**
 * One life of a machine: from its engine's thread being made until everything that it used is given back. It owns the thread, the open
 * images, and the bundle's lock. It is over once: by the guest, by request, by a trap, or by the death of a thread; whatever
 * waits for the engine then fails at once with the cause, because an engine that is gone answers nothing.
 */
import { dirname } from 'node:path'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { DisposableStore, type Disposable } from '../../../../src-shared/base/disposable.ts'
import { Emitter, nextValue, type Event } from '../../../../src-shared/base/event.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../../src-shared/model/disk-format.ts'
import type { LiveChange } from '../../../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import type { Client } from '../../../../src-shared/rpc/service.ts'
import { Counters } from '../../../../src-shared/threads/counters.ts'
import { engineThread, type EngineEvent, type MemoryPlace } from '../../../../src-shared/threads/engine-thread.ts'
import { makeFrameRing } from '../../../../src-shared/threads/frame-ring.ts'
import type { FrameLink } from '../../../../src-shared/threads/network-thread.ts'
import { qemuThread, type AdoptedMachine } from '../../../../src-shared/threads/qemu-thread.ts'
import { storageThread } from '../../../../src-shared/threads/storage-thread.ts'
import type { BundleLock } from '../../library/bundle-lock.ts'
import type { Log } from '../../log/log.ts'
import type { PlannedImage } from '../../planner/plan-machine.ts'
import type { Lease, SharedThread } from '../../threads/shared-thread.ts'
import { storageJob } from '../../images/storage-job.ts'
import type { TaskContext } from '../../tasks/task-service.ts'
import { holdEngine, type EngineHold } from './engine-hold.ts'

/** ms that an engine gets to end a machine before it is left alone. */
const POLITE_END = 2000

export interface LayerMerge {
  lower: { path: string; format: DiskFormat }
  upper: { path: string; format: DiskFormat }
  /** What the lower one rests on; null: nothing. */
  base: string | null
}

/** How a life ended; `error` null: the machine is off. */
export interface SessionEnd {
  error: AppError | null
}

export interface SessionParts {
  storage: SharedThread
  /** Supervises all QEMU machines. */
  qemu: SharedThread
  log: Log
  /** Another thread of the embedded engine than the product's, for tests. */
  engineEntry?: URL
}

export class Session implements Disposable {
  readonly machine: string
  readonly kind: MachineSpec['engine']
  /** Tells this life from the others. */
  readonly life = newId()
  readonly counters = new Counters()
  readonly engine: Client<typeof engineThread>
  /** Resolves when the engine has built the machine: its serial ports exist. Never rejects; `race` it. */
  readonly built: Promise<void>
  #onBuilt: () => void = () => {}
  #parts: SessionParts
  #name: string
  #hold: EngineHold
  #lock: BundleLock
  #storage: Lease | null = null
  /** Of images that are open, or being opened. */
  #handles = new Set<string>()
  /** By drive, of what is in it. */
  #inserted = new Map<string, string>()
  /** By drive: where its disk went on while it ran. */
  #wentOn = new Map<string, string>()
  #opened = 0
  #spec: MachineSpec | null = null
  #resumed = false
  #leaving: readonly string[] = []
  /** By network card, of an engine that takes them; a new network thread goes on with the same ones. */
  #rings: Record<string, SharedArrayBuffer> = {}
  #end: SessionEnd | null = null
  #over = new Emitter<SessionEnd>()
  #events = new Emitter<EngineEvent>()
  #store = new DisposableStore()

  readonly onEvent: Event<EngineEvent> = this.#events.event
  readonly onOver: Event<SessionEnd> = this.#over.event

  /**
   * Starts the engine's thread, or joins the one for all; `lock` is released when the session closes.
   * @throws AppError where the thread for all cannot be had
   */
  constructor(machine: string, name: string, engine: MachineSpec['engine'], lock: BundleLock, parts: SessionParts) {
    this.machine = machine
    this.kind = engine
    this.#name = name
    this.#lock = lock
    this.#parts = parts
    this.built = new Promise((resolve) => (this.#onBuilt = resolve))
    this.#hold = holdEngine(engine, name, parts)
    this.engine = this.#hold.thread.rpc.service(engineThread)
    this.#store.add(this.#hold.thread.onDeath(({ error }) => this.finish({ error: this.#hold.death(error) })))
    this.#store.add(this.engine.events((event) => this.#onEngineEvent(event)))
  }

  /** The machine may run although this life is over: its engine is another process, and only what supervised it died. */
  get mayRunOn(): boolean {
    return this.#hold.outlives && this.#hold.thread.deathError !== null
  }

  get end(): SessionEnd | null {
    return this.#end
  }

  /** As the machine is now; null before it is built. */
  get spec(): MachineSpec | null {
    return this.#spec
  }

  /** Its guest goes on where it stood when its memory was saved. */
  get resumed(): boolean {
    return this.#resumed
  }

  /** What the guest was asked for in vain and may still let go of. */
  get leaving(): readonly string[] {
    return this.#leaving
  }

  /** Opens the images and builds the machine; it does not run yet. */
  async build(spec: MachineSpec, images: readonly PlannedImage[], memory: MemoryPlace | null): Promise<void> {
    const blocks: Record<string, MessagePort> = {}
    this.#spec = spec
    this.#resumed = memory !== null
    try {
      for (const image of images) {
        const { port, handle } = await this.#openImage(image)
        blocks[image.drive] = port
        this.#inserted.set(image.drive, handle)
      }
      const transfer = Object.values(blocks)
      const rings = this.kind === 'embedded' ? Object.fromEntries(spec.nics.map(({ id }) => [id, makeFrameRing()])) : {}
      this.#rings = rings
      const creating = this.engine.create({ spec, blocks, counters: this.counters.buffer, rings, memory }, { transfer })
      this.#hold.creating(creating)
      await this.race(creating)
      this.#onBuilt()
    } catch (error) {
      for (const port of Object.values(blocks)) port.close()
      throw error
    }
  }

  /**
   * Goes on with a machine that runs already.
   * @throws AppError `not-found` where it does not
   */
  async adopt(logFolder: string): Promise<AdoptedMachine> {
    const adopting = this.#hold.thread.rpc.service(qemuThread).adopt({ machine: this.machine, logFolder, counters: this.counters.buffer })
    this.#hold.creating(adopting)
    const adopted = await this.race(adopting)
    this.#spec = adopted.spec
    this.#onBuilt()
    return adopted
  }

  /**
   * Changes the hardware of the machine while it runs. `spec` has it when this resolves.
   * @param image what is inserted, where the engine takes the bytes of its drives from the storage thread
   * @throws AppError as the engine's `change` does, or why the image cannot be opened
   */
  async change(change: LiveChange, image: PlannedImage | null, signal?: AbortSignal): Promise<void> {
    const opened = image && (await this.#openImage(image))
    const transfer = opened ? [opened.port] : []
    const request = { machine: this.machine, change, block: opened?.port ?? null }
    try {
      await this.race(this.engine.change(request, { transfer, ...(signal ? { signal } : {}) }))
    } catch (error) {
      opened?.port.close()
      if (opened) await this.#closeImage(opened.handle)
      throw error
    }
    if (change.kind !== 'insert' && change.kind !== 'eject') return
    const before = this.#inserted.get(change.drive)
    this.#inserted.delete(change.drive)
    if (opened) this.#inserted.set(change.drive, opened.handle)
    if (before !== undefined) await this.#closeImage(before)
  }

  /** Where the frames of its network cards are had. */
  async nicLinks(): Promise<Record<string, FrameLink>> {
    if (this.kind === 'embedded') return Object.fromEntries(Object.entries(this.#rings).map(([id, ring]) => [id, { kind: 'ring', ring }]))
    return this.race(this.engine.nicLinks({ machine: this.machine }))
  }

  /** Pulls a card's cable, or plugs it in again, whatever the hardware says. */
  cutLink(nic: string, cut: boolean): Promise<void> {
    return this.race(this.engine.cutLink({ machine: this.machine, nic, cut }))
  }

  /** What storage has open for a drive that the guest emptied itself. */
  async closeEjected(): Promise<void> {
    for (const { id, inserted } of this.#spec?.drives ?? []) {
      const handle = this.#inserted.get(id)
      if (inserted || handle === undefined) continue
      this.#inserted.delete(id)
      await this.#closeImage(handle)
    }
  }

  /**
   * Makes files that rest on its disks as they are written now; of an engine that has their bytes from the storage thread.
   * @param files absolute paths, by drive
   */
  async makeAbove(files: ReadonlyMap<string, string>): Promise<void> {
    for (const [drive, path] of files) await this.race(this.#storageCalls().createAbove({ handle: this.#handleOf(drive), path }))
  }

  /** Its disks go on in these files, which were made so, while it stands still. Those that did are in the spec, also where this fails. */
  async goOnIn(files: ReadonlyMap<string, string>): Promise<void> {
    for (const [drive, path] of files) {
      await this.race(this.#storageCalls().goOnIn({ handle: this.#handleOf(drive), path }))
      this.#wentOn.set(drive, path)
      this.#spec = this.#spec && this.#asWentOn(this.#spec)
    }
  }

  /**
   * Two layers of a disk that is in use become one, as the engine's `mergeDisk` and the storage thread's `mergeOpen` say. Real paths.
   * @param drive whose disk it is
   */
  async mergeDisk(drive: string, merge: LayerMerge, context: Pick<TaskContext, 'signal' | 'progress'>): Promise<void> {
    const { lower, upper, base } = merge
    if (this.kind === 'embedded') {
      const [handle, storage] = [this.#handleOf(drive), this.#storage!.thread]
      const merging = storageJob({ use: (work) => work(storage) }, context, (calls, job, options) =>
        calls.mergeOpen({ job, handle, lower, upper }, options),
      )
      return this.race(merging)
    }
    const progress = this.#events.event((event) => {
      if (event.kind === 'merging') context.progress(event.done, event.total, 'bytes')
    })
    try {
      await this.#holding(upper.path, () => {
        const request = { machine: this.machine, lower: lower.path, upper: upper.path, base }
        return this.race(this.engine.mergeDisk(request, { signal: context.signal }))
      })
    } finally {
      progress.dispose()
    }
  }

  /** Nobody else here reads meanwhile what QEMU changes, which may be frozen: QEMU would not see that. */
  async #holding(path: string, work: () => Promise<void>): Promise<void> {
    const handle = `${this.life}/held`
    await this.#parts.storage.use(async ({ rpc }) => {
      const storage = rpc.service(storageThread)
      await storage.hold({ handle, path })
      try {
        await work()
      } finally {
        await storage.close({ handle }).catch(() => {})
      }
    })
  }

  #storageCalls(): Client<typeof storageThread> {
    this.#storage ??= this.#leaseStorage()
    return this.#storage.thread.rpc.service(storageThread)
  }

  #handleOf(drive: string): string {
    const handle = this.#inserted.get(drive)
    if (handle === undefined) throw new AppError('internal', `The drive “${drive}” of “${this.#name}” is not open.`)
    return handle
  }

  /** The engine does not know in which files its disks went on. */
  #asWentOn(spec: MachineSpec): MachineSpec {
    const drives = spec.drives.map((drive) => {
      const path = this.#wentOn.get(drive.id)
      return path === undefined ? drive : { ...drive, path, format: 'qcow2' as const }
    })
    return { ...spec, drives }
  }

  async #openImage({ drive, path, format, readOnly, cache }: PlannedImage): Promise<{ port: MessagePort; handle: string }> {
    this.#storage ??= this.#leaseStorage()
    const storage = this.#storage.thread.rpc.service(storageThread)
    const handle = `${this.life}/${drive}/${this.#opened++}`
    const { port1, port2 } = new MessageChannel()
    this.#handles.add(handle)
    try {
      // What a disk rests on lies beside it.
      const folders = [dirname(path)]
      await this.race(
        storage.open({ handle, path, format, readOnly, folders, unsafe: cache === 'unsafe', port: port1 }, { transfer: [port1] }),
      )
      return { port: port2, handle }
    } catch (error) {
      port2.close()
      if (!this.#end) this.#handles.delete(handle)
      throw this.#storage.thread.deathError ?? error
    }
  }

  #leaseStorage(): Lease {
    const lease = this.#parts.storage.lease()
    this.#store.add(
      lease.thread.onDeath(({ error }) =>
        this.finish({ error: new AppError('crashed', `The disks of “${this.#name}” are gone: ${error.message}`, {}, error) }),
      ),
    )
    return lease
  }

  /**
   * The engine's answer, or the failure that this life is over.
   * @throws AppError the cause; `wrong-state` where the machine switched itself off
   */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = ({ error }: SessionEnd): void =>
        reject(error ?? new AppError('wrong-state', `“${this.#name}” was switched off.`, { subject: this.#name }))
      if (this.#end) fail(this.#end)
      const subscription = this.#over.event(fail)
      work.then(resolve, (error: unknown) => this.#causeOf(error).then(reject)).finally(() => subscription.dispose())
    })
  }

  /** What talks to an engine that is dying hears nothing more from it before its death, and its cause, are known. */
  async #causeOf(error: unknown): Promise<unknown> {
    if (asAppError(error).code !== 'disconnected' || this.#end) return error
    await nextValue(this.#over.event, () => true, AbortSignal.timeout(POLITE_END)).catch(() => {})
    return error
  }

  /**
   * To be called just before the guest executes: should this process be killed from here on, the next host says that the machine ended with it.
   * @param lockPath where the lock is now
   * @throws AppError `busy` where another host has the machine by now, or the system's reason
   */
  noteRunning(lockPath: string): Promise<void> {
    return this.#lock.noteRunning(lockPath)
  }

  /** The life is over; the first cause counts. The owner closes the session then. */
  finish(end: SessionEnd): void {
    if (this.#end) return
    this.#end = end
    this.#over.fire(end)
  }

  /** Asks the engine to end the machine, and does not wait for ever. Then closes. */
  async powerOff(lockPath: string): Promise<void> {
    if (!this.#end) await this.#endMachine()
    this.finish({ error: null })
    await this.close(lockPath)
  }

  async #endMachine(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, POLITE_END)))
    await Promise.race([this.engine.powerOff({ machine: this.machine }).catch(() => {}), patience])
    clearTimeout(timer)
  }

  /**
   * Gives everything back: the engine first, so that nothing writes any more, then the images, the lock last.
   * @param lockPath where the lock is now: a bundle may have been moved while it ran
   */
  async close(lockPath: string): Promise<void> {
    await this.#giveBack(lockPath, () => this.#endMachine())
  }

  /** The same, and the machine runs on: of an engine that is another process. */
  async leave(lockPath: string): Promise<void> {
    await this.#giveBack(lockPath, () => Promise.resolve())
  }

  async #giveBack(lockPath: string, endMachine: () => Promise<void>): Promise<void> {
    this.finish({ error: null })
    await this.#hold.end(endMachine)
    await this.#closeImages()
    this.dispose()
    await this.#lock.release(lockPath)
  }

  async #closeImages(): Promise<void> {
    const lease = this.#storage
    if (!lease) return
    for (const handle of [...this.#handles]) await this.#closeImage(handle)
    lease.release()
  }

  async #closeImage(handle: string): Promise<void> {
    this.#handles.delete(handle)
    try {
      await this.#storage?.thread.rpc.service(storageThread).close({ handle })
    } catch (error) {
      this.#parts.log.error('machines', `Closing a disk of “${this.#name}” failed.`, { error: asAppError(error) })
    }
  }

  dispose(): void {
    this.#hold.drop()
    this.#storage?.release()
    this.#store.dispose()
    this.#events.dispose()
    this.#over.dispose()
  }

  #onEngineEvent(event: EngineEvent): void {
    if (event.machine !== this.machine) return
    if (event.kind === 'stopped') {
      const error = event.error ? AppError.fromWire(event.error) : null
      const trap = new AppError('crashed', `The engine of “${this.#name}” failed.`)
      this.finish({ error: event.reason === 'trap' ? (error ?? trap) : null })
    } else if (!this.#end) {
      if (event.kind === 'hardware') {
        this.#spec = this.#asWentOn(event.spec)
        this.#leaving = event.leaving
      }
      this.#events.fire(event)
    }
  }
}
