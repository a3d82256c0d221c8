/**
 * One machine: what is legal when, and the way through it. Theory of operation: operations take turns, so that each sees the machine as the
 * one before left it. Whether an operation is legal is judged when its turn comes. Pulling the plug does not wait: it ends the session first,
 * which makes the operation under way fail, and then takes its turn. When a session is over by itself (the guest switched
 * itself off, a thread died), cleaning up takes a turn like any operation.
 */
import type { MachineView, VncState } from '../../../src-shared/api/machines.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { AppError, asAppError, type FieldError } from '../../../src-shared/errors/app-error.ts'
import type { LiveHardware } from '../../../src-shared/model/live-hardware.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { isLegal, type MachineState, type PowerAction } from '../../../src-shared/model/machine-state.ts'
import type { EngineEvent } from '../../../src-shared/threads/engine-thread.ts'
import { bundlePaths } from '../library/bundle.ts'
import type { BundleLock } from '../library/bundle-lock.ts'
import type { Bundle } from '../library/identity.ts'
import type { Library } from '../library/library.ts'
import type { EngineChoice } from '../planner/choose-engine.ts'
import type { EngineFactsSource } from '../planner/facts.ts'
import { liveHardware } from '../planner/live-hardware.ts'
import type { Bridges } from '../planner/plan-bridge.ts'
import type { Log } from '../log/log.ts'
import type { TaskService } from '../tasks/task-service.ts'
import { adoptMachine, lookForCrash, ranOn } from './running/adopt-machine.ts'
import type { Beginning } from './running/beginning.ts'
import { bootMachine, endOldReturn } from './running/boot-machine.ts'
import { writeCrash } from './running/crash-log.ts'
import type { FirmwareFinder } from './running/firmware.ts'
import { followHardware } from './running/live-change.ts'
import { askAddresses } from './guest/machine-agent.ts'
import { checkMachine, engineFor } from './machine-plan.ts'
import { deleteUnneededPages } from './suspend/memory-pages.ts'
import { AT_REST, machineView, stateOf, type MachineStatus } from './machine-view.ts'
import { POWER_BUTTON_PATIENCE, PowerButton } from './running/power-button.ts'
import { Session, type SessionEnd, type SessionParts } from './running/session.ts'
import { suspendTask } from './suspend/suspend-task.ts'
import { removeSuspended, stampClosed } from './suspend/suspended-state.ts'
import { refuseTemplate } from './making/template.ts'
import { busyError, wrongState } from './wrong-state.ts'
import { refuseUnsavable } from './suspend/unsavable.ts'

export interface MachineParts extends SessionParts {
  library: Library
  tasks: TaskService
  firmware: FirmwareFinder
  engines: EngineFactsSource
  /** As they are now. */
  bridges: () => Bridges
}

export class Machine {
  #bundle: Bundle
  #parts: MachineParts
  #tell: () => void
  #status: MachineStatus = { ...AT_REST }
  #session: Session | null = null
  #turns = new Turns()
  /** Those who wait to end whatever runs: nothing begins any more. */
  #killers = 0
  #heldFor: string | null = null
  /** Aborts when whoever has the turn is to give it back soon. */
  #between: AbortController | null = null
  #vnc: VncState | null = null
  /** Of the life that runs, or of the last start; null before the first. */
  #choice: EngineChoice | null = null
  /** Pressed, and the machine not off yet. */
  #button: PowerButton | null = null
  /** It was suspended before its boot was seen. An engine says of everything resumed that it has booted. */
  #resumedUnseen = false
  /** The last thing the engine said of this life's guest. */
  #verdict: Pick<MachineStatus, 'health' | 'healthDetail'> | null = null
  /** It is paused for a moment, for a snapshot. */
  #unseen = false
  #beginning: Beginning

  /** @param tell called after each change of the view */
  constructor(bundle: Bundle, parts: MachineParts, tell: () => void) {
    this.#bundle = bundle
    this.#parts = parts
    this.#tell = tell
    this.#beginning = {
      machine: this,
      parts,
      open: (lock, engine) => this.#open(lock, engine),
      leave: () => void (this.#session = null),
      chose: (choice) => void (this.#choice = choice),
      follow: () => void this.#follow(),
    }
  }

  get id(): string {
    return this.#bundle.id
  }
  get bundle(): Bundle {
    return this.#bundle
  }
  get state(): MachineState {
    return stateOf(this.#bundle, this.#status)
  }
  get status(): Readonly<MachineStatus> {
    return this.#status
  }
  /** An operation is under way, which may be about to begin what runs. */
  get busy(): boolean {
    return this.#turns.busy
  }
  /** What runs; null at rest. */
  get session(): Session | null {
    return this.#session
  }

  get log(): Log {
    return this.#parts.log
  }

  view(): MachineView {
    return machineView(this.#bundle, this.#status, this.#engineChoice(), this.#vnc, this.#live())
  }

  /** The bundle was changed or moved. */
  setBundle(bundle: Bundle): void {
    this.#bundle = bundle
    this.#tell()
  }

  /** What VNC viewers can do now: no part of the status, which each life begins anew. */
  setVnc(vnc: VncState | null): void {
    if (this.#vnc === vnc) return
    this.#vnc = vnc
    this.#tell()
  }

  setStatus(change: Partial<MachineStatus>): void {
    // Engines tell a verdict when it changes: one that goes on running has the last one.
    const health = change.state === 'running' && !('health' in change) ? this.#verdict : null
    Object.assign(this.#status, health, change)
    this.#tell()
    // Before it ran, its agent could not be asked.
    if (change.state === 'running' && this.#status.agent) this.#askAddresses()
  }

  start(): Promise<MachineView> {
    return this.#operate('start', () => this.#boot())
  }

  pause(): Promise<MachineView> {
    return this.#operate('pause', async (session) => {
      await session!.race(session!.engine.pause({ machine: this.id }))
      this.setStatus({ state: 'paused', health: null, healthDetail: null })
    })
  }

  resume(): Promise<MachineView> {
    return this.#operate('resume', async (session) => {
      if (!session) return this.#boot()
      await session.race(session.engine.resume({ machine: this.id }))
      this.setStatus({ state: 'running' })
    })
  }

  reset(): Promise<MachineView> {
    return this.#operate('reset', async (session) => {
      // The engine's event `rebooted` comes with it.
      await session!.race(session!.engine.reset({ machine: this.id }))
    })
  }

  /** The guest decides: it is off when it says so, and running again where it does not within POWER_BUTTON_PATIENCE. May be pressed again. */
  async powerButton(): Promise<MachineView> {
    const again = this.state === 'stopping'
    try {
      return await this.#operate('powerButton', (session) => this.#pressButton(session!))
    } catch (error) {
      // It went off meanwhile, which is what was wished.
      if (again && asAppError(error).code === 'wrong-state') return this.view()
      throw error
    }
  }

  async #pressButton(session: Session): Promise<void> {
    const press = (): Promise<void> => session.race(session.engine.powerButton({ machine: this.id }))
    await press()
    this.setStatus({ state: 'stopping', lastError: null })
    this.#button?.dispose()
    this.#button = new PowerButton({
      press: () => void press().catch(() => {}),
      hasBooted: () => this.#status.bootedAt !== null && !this.#resumedUnseen,
      giveUp: () => {
        if (this.state !== 'stopping' || this.#session !== session || session.end) return
        const text = `“${this.#bundle.name}” did not react to its power button within ${POWER_BUTTON_PATIENCE / 1000} s. Shut it down from inside, or power it off.`
        this.setStatus({ state: 'running', lastError: new AppError('timeout', text) })
      },
    })
  }

  async powerOff(): Promise<MachineView> {
    if (!isLegal('powerOff', this.state)) throw wrongState('powerOff', this.#bundle.name, this.state)
    await this.kill()
    return this.view()
  }

  /** Ends whatever runs, from any state. Resolves when nothing of it is left. */
  async kill(): Promise<void> {
    // Somebody has the turn and may wait for an engine that does not answer, or is about to begin one.
    if (this.#turns.busy) this.#session?.finish({ error: null })
    this.#killers++
    const done = await this.#turn()
    this.#killers--
    try {
      const session = this.#session
      if (!session) return
      this.setStatus({ state: 'stopping', health: null, healthDetail: null })
      await session.powerOff(this.#lockPath)
      await this.#closed({ error: null })
    } finally {
      done()
    }
  }

  /**
   * This host has no more part in it, and it runs on for the next one.
   * @returns false where it cannot, because its engine is a part of this process
   */
  async leave(): Promise<boolean> {
    const done = await this.#turn()
    try {
      const session = this.#session
      if (session?.kind !== 'qemu' || session.end) return false
      await session.leave(this.#lockPath)
      await this.#closed({ error: null })
      return true
    } finally {
      done()
    }
  }

  /** A task; it answers when the task has begun. */
  async suspend(): Promise<TaskStarted> {
    if (this.#heldFor !== null) throw busyError(this.#bundle.name, this.#heldFor)
    const done = await this.#turn()
    try {
      const session = this.#legalSession('suspend')!
      if (session.spec) refuseUnsavable(this.#bundle.name, session.spec)
      const machine = { bundle: this.#bundle, status: this.#status, setStatus: (change: Partial<MachineStatus>) => this.setStatus(change) }
      return suspendTask(this.#parts.tasks, machine, session, {
        suspended: async (record) => {
          await session.powerOff(this.#lockPath)
          await stampClosed(this.#bundle.folder, this.#bundle.config!, record).catch((error: unknown) =>
            this.log.warn('machines', 'The disks’ last changes could not be noted.', { error }),
          )
          await this.#closed({ error: null })
        },
        ended: done,
      })
    } catch (error) {
      done()
      throw error
    }
  }

  discardSuspend(): Promise<MachineView> {
    return this.#operate('discardSuspend', async () => {
      await removeSuspended(this.#bundle.folder)
      await deleteUnneededPages(this.#bundle.folder).catch((error: unknown) =>
        this.log.warn('machines', 'Pages of old memory stay.', { error }),
      )
      await this.#parts.library.refresh(this.#bundle.folder)
      this.setStatus({ ...AT_REST })
    })
  }

  /** Resolves when the operations that are under way now have ended. */
  async settled(): Promise<void> {
    const done = await this.#turn()
    done()
  }

  /** Runs `work` while no operation can begin or is under way; `what` says what is being done, for the sentence of those refused. */
  async hold<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#heldFor !== null) throw busyError(this.#bundle.name, this.#heldFor)
    const done = await this.#turn()
    this.#heldFor = what
    try {
      return await work()
    } finally {
      this.#heldFor = null
      done()
    }
  }

  /**
   * Runs `work` while no operation is under way. Nobody is refused meanwhile: where somebody wants the turn, `soon` aborts, and `work` ends before its time.
   */
  async between<T>(work: (soon: AbortSignal) => Promise<T>): Promise<T> {
    const done = await this.#turns.take()
    const between = new AbortController()
    this.#between = between
    if (this.#turns.wanted) between.abort()
    try {
      return await work(between.signal)
    } finally {
      this.#between = null
      done()
    }
  }

  #turn(): Promise<() => void> {
    this.#between?.abort()
    return this.#turns.take()
  }

  /** Nobody is told that the guest stands still while `work` is done. */
  async unseen<T>(work: () => Promise<T>): Promise<T> {
    this.#unseen = true
    try {
      return await work()
    } finally {
      this.#unseen = false
    }
  }

  /** What keeps this configuration from starting on this computer, its firmware aside; `engine`: what of it is that no engine can run it. */
  check(config: MachineConfig): Promise<{ problems: FieldError[]; engine: FieldError[] }> {
    return checkMachine(this, config, this.#parts.engines)
  }

  /** What runs it, or would if it were started now. Null for a bundle that cannot be read. */
  #engineChoice(): EngineChoice | null {
    const { config } = this.#bundle
    if (this.#session && this.#choice) return this.#choice
    return config && engineFor(this.#bundle, config, this.#parts.engines.current)
  }

  get #lockPath(): string {
    return bundlePaths(this.#bundle.folder).lock
  }

  async #operate(action: PowerAction, work: (session: Session | null) => Promise<void>): Promise<MachineView> {
    if (this.#heldFor !== null) throw busyError(this.#bundle.name, this.#heldFor)
    const done = await this.#turn()
    try {
      await work(this.#legalSession(action))
      return this.view()
    } finally {
      done()
    }
  }

  #legalSession(action: PowerAction): Session | null {
    const session = this.#session
    if (session?.end) throw session.end.error ?? wrongState(action, this.#bundle.name, 'off')
    if (!isLegal(action, this.state)) throw this.#bundle.problem ?? wrongState(action, this.#bundle.name, this.state)
    return session
  }

  /** Boots, or goes on from the suspended state. */
  async #boot(): Promise<void> {
    refuseTemplate(this.#bundle, 'it does not start')
    const { suspended } = this.#bundle
    this.#verdict = null
    this.#resumedUnseen = suspended !== null && (suspended.record?.bootedAt ?? null) === null
    await bootMachine(this.#beginning)
  }

  async #open(lock: BundleLock, engine: MachineSpec['engine']): Promise<Session> {
    const { id, name } = this.#bundle
    try {
      const session = new Session(id, name, engine, lock, this.#parts)
      this.#session = session
      if (this.#killers > 0) session.finish({ error: null })
      session.onEvent((event) => this.#onEngineEvent(event))
      session.onOver((end) => void this.#onOver(session, end))
      return session
    } catch (error) {
      await lock.release(this.#lockPath)
      throw error
    }
  }

  #live(): LiveHardware | null {
    const { state } = this
    const session = this.#session
    return session?.spec && (state === 'running' || state === 'paused') ? liveHardware(session.spec, state, session.leaving) : null
  }

  /** An earlier host ended without it: it goes on here, where nothing of it is under way. */
  async adopt(): Promise<void> {
    const done = await this.#turn()
    try {
      if (this.#session || !this.#bundle.config || !isLegal('start', this.state)) return
      await adoptMachine(this.#beginning, null)
    } finally {
      done()
    }
  }

  /** Nothing runs of it. Where the host before ended without switching it off, it says so; what that one began is ended. */
  async lookForCrash(): Promise<void> {
    const done = await this.#turn()
    try {
      if (this.#session) return
      await lookForCrash(this.#beginning)
      // Where that cannot be done now, it is when the machine starts.
      await endOldReturn(this.#beginning).catch((error: unknown) =>
        this.log.warn('machines', `“${this.#bundle.name}” is not back at its snapshot yet.`, { error: asAppError(error) }),
      )
    } finally {
      done()
    }
  }

  /** The session ended by itself. An operation under way cleans up itself; who comes after finds nothing left to do. */
  async #onOver(session: Session, end: SessionEnd): Promise<void> {
    const done = await this.#turn()
    try {
      if (this.#session !== session) return
      this.setStatus({ state: 'stopping', health: null, healthDetail: null })
      await session.close(this.#lockPath)
      if (session.mayRunOn && end.error) {
        this.#session = null
        this.#parts.log.error('machines', end.error.message, { machine: this.#bundle.name, error: end.error })
        if (await adoptMachine(this.#beginning, ranOn(this.#bundle.name, end.error))) return
      }
      await this.#closed(end)
    } finally {
      done()
    }
  }

  async #closed(end: SessionEnd): Promise<void> {
    const { name, folder } = this.#bundle
    this.#button?.dispose()
    this.#button = null
    this.#session = null
    if (end.error) {
      this.#parts.log.error('machines', end.error.message, { machine: name, error: end.error })
      await writeCrash(folder, end.error)
    }
    await this.#parts.library.refresh(folder)
    this.setStatus({ ...AT_REST, state: end.error ? 'crashed' : null, lastError: end.error })
  }

  /** Without an agent there are none. */
  #askAddresses(): void {
    askAddresses(this).catch(() => {})
  }

  /** The configuration follows what runs; an operation under way has its say first. */
  async #follow(): Promise<void> {
    const done = await this.#turn()
    try {
      await followHardware(this, this.#parts.library)
      this.#tell()
    } catch (error) {
      this.#parts.log.error('machines', `The hardware of “${this.#bundle.name}” changed and could not be noted.`, {
        error: asAppError(error),
      })
    } finally {
      done()
    }
  }

  #onEngineEvent(event: EngineEvent): void {
    switch (event.kind) {
      case 'booted':
        // A resumed guest booted in an earlier life.
        if (this.#status.bootedAt !== null) break
        this.setStatus({ bootedAt: new Date().toISOString() })
        if (this.state === 'stopping') this.#button?.booted()
        break
      case 'rebooted':
        this.#resumedUnseen = false
        this.setStatus({ bootedAt: null, agent: false, interfaces: [] })
        break
      case 'agent':
        this.setStatus(event.present ? { agent: true } : { agent: false, interfaces: [] })
        if (event.present) this.#askAddresses()
        break
      case 'hardware':
        void this.#follow()
        break
      case 'health':
        this.#verdict = { health: event.health, healthDetail: event.detail === '' ? null : event.detail }
        if (this.state === 'running' || this.state === 'stopping') this.setStatus(this.#verdict)
        break
      case 'paused':
        // By itself, or by a tool; our own calls say so themselves.
        if (this.state === 'running' && !(this.#unseen && !event.error))
          this.setStatus({
            state: 'paused',
            health: null,
            healthDetail: null,
            lastError: event.error ? AppError.fromWire(event.error) : null,
          })
        break
      case 'running':
        if (this.state === 'paused') this.setStatus({ state: 'running', lastError: null })
        break
      default: // 'stopped' ends the session
    }
  }
}
