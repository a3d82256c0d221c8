/**
 * One machine: what is legal when, and the way through it. Theory of operation: operations take turns, so that each sees the machine as the
 * one before left it. Whether an operation is legal is judged when its turn comes. Pulling the plug does not wait: it ends the session first,
 * which makes the operation under way fail, and then takes its turn. When a session is over by itself (the guest switched
 * itself off, a thread died), cleaning up takes a turn like any operation.
 */
import { stat } from 'node:fs/promises'
import type { MachineView, VncState } from '../../../src-shared/api/machines.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { AppError, asAppError, type FieldError } from '../../../src-shared/errors/app-error.ts'
import type { LiveHardware } from '../../../src-shared/model/live-hardware.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { isLegal, type MachineState, type PowerAction } from '../../../src-shared/model/machine-state.ts'
import type { EngineEvent } from '../../../src-shared/threads/engine-thread.ts'
import { bundlePaths, refuseLinks } from '../library/bundle.ts'
import { lockBundle, removeStaleLock, type BundleLock } from '../library/bundle-lock.ts'
import type { Bundle } from '../library/identity.ts'
import type { Library } from '../library/library.ts'
import { asSuspended } from '../planner/as-built.ts'
import { chooseEngine, type EngineChoice } from '../planner/choose-engine.ts'
import type { EngineFactsSource } from '../planner/facts.ts'
import { liveHardware } from '../planner/live-hardware.ts'
import { pathsOf } from '../planner/plan-files.ts'
import { planMachine, type Plan } from '../planner/plan-machine.ts'
import { fileFacts } from '../planner/probe-files.ts'
import type { Log } from '../log/log.ts'
import type { TaskService } from '../tasks/task-service.ts'
import { writeCrash } from './crash-log.ts'
import type { FirmwareFiles, FirmwareFinder } from './firmware.ts'
import { followHardware } from './live-change.ts'
import { askAddresses } from './machine-agent.ts'
import { AT_REST, machineView, stateOf, type MachineStatus } from './machine-view.ts'
import { POWER_BUTTON_PATIENCE, PowerButton } from './power-button.ts'
import { Session, type SessionEnd, type SessionParts } from './session.ts'
import { suspendTask } from './suspend-task.ts'
import { putBackSuspended, removeSuspended, suspendedProblem, takeSuspended } from './suspended-state.ts'
import { Turns } from './turns.ts'
import { busyError, wrongState } from './wrong-state.ts'
import { writtenFiles } from './written-files.ts'

export interface MachineParts extends SessionParts {
  library: Library
  tasks: TaskService
  firmware: FirmwareFinder
  engines: EngineFactsSource
}

/** For machines that bring their own, and for checks. */
const NO_FIRMWARE: FirmwareFiles = { bios: '', vgaBios: '' }

export class Machine {
  #bundle: Bundle
  #parts: MachineParts
  #tell: () => void
  #status: MachineStatus = { ...AT_REST }
  #session: Session | null = null
  #turns = new Turns()
  #heldFor: string | null = null
  #vnc: VncState | null = null
  /** Of the life that runs, or of the last start; null before the first. */
  #choice: EngineChoice | null = null
  /** Pressed, and the machine not off yet. */
  #button: PowerButton | null = null
  /** It was suspended before its boot was seen. An engine says of everything resumed that it has booted. */
  #resumedUnseen = false
  /** The last thing the engine said of this life's guest. */
  #verdict: Pick<MachineStatus, 'health' | 'healthDetail'> | null = null

  /** @param tell called after each change of the view */
  constructor(bundle: Bundle, parts: MachineParts, tell: () => void) {
    this.#bundle = bundle
    this.#parts = parts
    this.#tell = tell
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
    // Somebody has the turn and may wait for an engine that does not answer.
    if (this.#turns.busy) this.#session?.finish({ error: null })
    const done = await this.#turns.take()
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

  /** A task; it answers when the task has begun. */
  async suspend(): Promise<TaskStarted> {
    if (this.#heldFor !== null) throw busyError(this.#bundle.name, this.#heldFor)
    const done = await this.#turns.take()
    try {
      const session = this.#legalSession('suspend')!
      const machine = { bundle: this.#bundle, status: this.#status, setStatus: (change: Partial<MachineStatus>) => this.setStatus(change) }
      return suspendTask(this.#parts.tasks, machine, session, {
        suspended: async () => {
          await session.powerOff(this.#lockPath)
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
      await this.#parts.library.refresh(this.#bundle.folder)
      this.setStatus({ ...AT_REST })
    })
  }

  /** Resolves when the operations that are under way now have ended. */
  async settled(): Promise<void> {
    const done = await this.#turns.take()
    done()
  }

  /** Runs `work` while no operation can begin or is under way; `what` says what is being done, for the sentence of those refused. */
  async hold<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#heldFor !== null) throw busyError(this.#bundle.name, this.#heldFor)
    const done = await this.#turns.take()
    this.#heldFor = what
    try {
      return await work()
    } finally {
      this.#heldFor = null
      done()
    }
  }

  /** What keeps this configuration from starting on this computer, its firmware aside; `engine`: what of it is that no engine can run it. */
  async check(config: MachineConfig): Promise<{ problems: FieldError[]; engine: FieldError[] }> {
    const { problems, choice } = await this.#plan(config, NO_FIRMWARE)
    return { problems: problems ?? [], engine: choice.problems ?? [] }
  }

  /** Looks for the embedded engine's firmware only where that engine will run the machine. */
  async #planStart(config: MachineConfig): Promise<Plan> {
    const { engine } = chooseEngine(config, this.#parts.engines.current, this.#suspendedOn)
    return this.#plan(config, engine === 'embedded' ? await this.#parts.firmware.find() : NO_FIRMWARE)
  }

  async #plan(config: MachineConfig, firmware: FirmwareFiles): Promise<Plan> {
    const { folder } = this.#bundle
    const files = await fileFacts(folder, pathsOf(config))
    const { logs: logFolder, firmware: firmwareFolder } = bundlePaths(folder)
    return planMachine(config, { ...this.#parts.engines.current, firmware, files, logFolder, firmwareFolder }, this.#runsOn)
  }

  /** The engine that has it, in mid-life. */
  get #runsOn(): MachineSpec['engine'] | null {
    return this.#session?.spec?.engine ?? this.#suspendedOn
  }

  get #suspendedOn(): 'embedded' | 'qemu' | null {
    return this.#bundle.suspended?.record?.header.engine ?? null
  }

  /** What runs it, or would if it were started now. Null for a bundle that cannot be read. */
  #engineChoice(): EngineChoice | null {
    const { config } = this.#bundle
    if (this.#session && this.#choice) return this.#choice
    return config && chooseEngine(config, this.#parts.engines.current, this.#suspendedOn)
  }

  get #lockPath(): string {
    return bundlePaths(this.#bundle.folder).lock
  }

  async #operate(action: PowerAction, work: (session: Session | null) => Promise<void>): Promise<MachineView> {
    if (this.#heldFor !== null) throw busyError(this.#bundle.name, this.#heldFor)
    const done = await this.#turns.take()
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
    const bundle = this.#bundle
    const from = bundle.suspended
    this.#verdict = null
    this.#resumedUnseen = from !== null && (from.record?.bootedAt ?? null) === null
    this.setStatus({ ...AT_REST, state: from ? 'resuming' : 'starting' })
    let session: Session | null = null
    let taken = false
    try {
      if (from?.problem) throw from.problem
      if (bundle.config!.engine !== 'embedded') await this.#parts.engines.whenFound()
      await refuseLinks(writtenFiles(bundle.folder))
      const lock = await lockBundle(this.#lockPath, `“${bundle.name}”`)
      session = await this.#open(lock, this.#engineNow(bundle.config!))
      if (await this.#goOn(session)) return
      const plan = await session.race(this.#planStart(bundle.config!))
      this.#choice = plan.choice
      if (!plan.spec) throw AppError.invalid(plan.problems)
      for (const warning of plan.warnings) this.#parts.log.warn('machines', warning.message, { machine: bundle.name, field: warning.path })
      if (from) await this.#checkSuspended(bundle)
      const was = from?.record?.spec
      await session.build(was ? asSuspended(plan.spec, was) : plan.spec, plan.images, from ? bundlePaths(bundle.folder).memory : null)
      if (from) await takeSuspended(bundle.folder)
      taken = from !== null
      await session.race(session.engine.start({ machine: this.id }))
      taken = false
      // Old memory, of this resume or of one that a crash interrupted: disks have moved on.
      await removeSuspended(bundle.folder).catch((error: unknown) => this.#parts.log.warn('machines', 'Old memory stays.', { error }))
      await this.#parts.library.refresh(bundle.folder)
      const now = new Date().toISOString()
      this.setStatus({ state: 'running', startedAt: now, bootedAt: from?.record?.bootedAt ?? this.#status.bootedAt })
    } catch (error) {
      const end = session?.end ?? null
      if (taken) await putBackSuspended(bundle.folder).catch(() => {})
      await session?.close(this.#lockPath)
      await this.#parts.library.refresh(bundle.folder)
      this.#session = null
      throw this.#startFailed(error, end, from !== null)
    }
  }

  async #open(lock: BundleLock, engine: MachineSpec['engine']): Promise<Session> {
    const { id, name } = this.#bundle
    try {
      const session = new Session(id, name, engine, lock, this.#parts)
      this.#session = session
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

  #engineNow(config: MachineConfig): MachineSpec['engine'] {
    return chooseEngine(config, this.#parts.engines.current, this.#suspendedOn).engine
  }

  /**
   * Takes over what runs already of this machine: an earlier host, or what supervised it, ended without it.
   * @returns false where nothing runs of it
   */
  async #goOn(session: Session): Promise<boolean> {
    if (session.kind !== 'qemu') return false
    try {
      const { state, startedAt } = await session.adopt(bundlePaths(this.#bundle.folder).logs)
      const { folder, config, suspended } = this.#bundle
      this.#choice = config && chooseEngine(config, this.#parts.engines.current, 'qemu')
      // A suspend that got as far as its record, and no further: what runs is the same, and moves on from here.
      if (suspended) await removeSuspended(folder)
      await this.#parts.library.refresh(folder)
      if (suspended && state === 'paused') await session.race(session.engine.resume({ machine: this.id }))
      const { bootedAt, agent } = this.#status
      this.setStatus({ ...AT_REST, state: suspended ? 'running' : state, startedAt, bootedAt, agent })
      void this.#follow()
      return true
    } catch (error) {
      if (session.end || asAppError(error).code !== 'not-found') throw error
      return false
    }
  }

  /** An earlier host ended without it: it goes on here, where nothing of it is under way. */
  async adopt(): Promise<void> {
    const done = await this.#turns.take()
    try {
      if (this.#session || !this.#bundle.config || !isLegal('start', this.state)) return
      await this.#adopt(null)
    } finally {
      done()
    }
  }

  /** Nothing runs of it. Where the host before ended without switching it off, it says so. */
  async lookForCrash(): Promise<void> {
    const done = await this.#turns.take()
    try {
      if (this.#session || !this.#bundle.config || !(await removeStaleLock(this.#lockPath))) return
      // What it had in memory is safe.
      if (this.#bundle.suspended) return
      const error = endedWithHost(this.#bundle.name)
      await writeCrash(this.#bundle.folder, error)
      this.setStatus({ ...AT_REST, state: 'crashed', lastError: error })
    } finally {
      done()
    }
  }

  /**
   * @param cause why it must be looked for; null at the start of a host
   * @returns whether it runs
   */
  async #adopt(cause: AppError | null): Promise<boolean> {
    let session: Session | null = null
    try {
      session = await this.#open(await lockBundle(this.#lockPath, `“${this.#bundle.name}”`), 'qemu')
      if (await this.#goOn(session)) {
        this.setStatus({ lastError: cause })
        return true
      }
    } catch (error) {
      const failure = asAppError(error, `Taking over “${this.#bundle.name}”, which still runs,`)
      this.#parts.log.warn('machines', `“${this.#bundle.name}” could not be taken over.`, { error: failure })
      this.#status.lastError = failure
    }
    await session?.close(this.#lockPath)
    this.#session = null
    this.#tell()
    return false
  }

  /** Shows why it did not start; suspended machines still are. Gives the error to fail with. */
  #startFailed(error: unknown, end: SessionEnd | null, suspended: boolean): AppError {
    const { name } = this.#bundle
    if (end && !end.error) {
      this.setStatus({ ...AT_REST })
      return new AppError('cancelled', `“${name}” was powered off before it ran.`)
    }
    const death = end?.error ?? null
    const failure = asAppError(death ?? error, `Starting “${name}”`)
    this.#parts.log.warn('machines', failure.message, { machine: name, error: failure })
    this.setStatus({ ...AT_REST, state: death && !suspended ? 'crashed' : null, lastError: failure })
    return failure
  }

  async #checkSuspended(bundle: Bundle): Promise<void> {
    const { config, suspended } = bundle
    const memory = await stat(bundlePaths(bundle.folder).memory).catch(() => null)
    const files = await fileFacts(bundle.folder, pathsOf(config!))
    const problem = suspendedProblem(suspended!.record!, config!, files, memory?.size ?? null)
    if (problem) throw problem
  }

  /** The session ended by itself. An operation under way cleans up itself; who comes after finds nothing left to do. */
  async #onOver(session: Session, end: SessionEnd): Promise<void> {
    const done = await this.#turns.take()
    try {
      if (this.#session !== session) return
      this.setStatus({ state: 'stopping', health: null, healthDetail: null })
      await session.close(this.#lockPath)
      if (session.mayRunOn && end.error) {
        this.#session = null
        this.#parts.log.error('machines', end.error.message, { machine: this.#bundle.name, error: end.error })
        if (await this.#adopt(ranOn(this.#bundle.name, end.error))) return
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
    const done = await this.#turns.take()
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
        if (this.state === 'running')
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

function endedWithHost(name: string): AppError {
  const text = `Coppice ended unexpectedly while “${name}” ran, and the machine with it. Its disks are as the guest last wrote them. Start it again.`
  return new AppError('crashed', text)
}

function ranOn(name: string, error: AppError): AppError {
  return new AppError('crashed', `What supervises “${name}” failed and was started again. The machine ran on.`, error.details, error)
}
