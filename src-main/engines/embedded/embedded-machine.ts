/**
 * One running machine. Theory of operation: v86's main loop runs in turns of about a millisecond on this thread's event loop. Everything that
 * is watched (serial output, counters, health) is looked at between two turns, so that a paused machine costs nothing and an idle one has
 * no timers beside the guest's own.
 */
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { changedSpec, type LiveChange } from '../../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import { makeFrameRing } from '../../../src-shared/threads/frame-ring.ts'
import type { MemoryHeader, MemoryPlace, StopReason } from '../../../src-shared/threads/engine-thread.ts'
import type { Attachments, BlockClient, CaptureOrder, EngineMachine, MachineEvent } from '../engine.ts'
import { RfbDisplay } from '../rfb/rfb-display.ts'
import { AgentPort } from './agent-port.ts'
import type { BlockDisk } from './block-disk.ts'
import { trapped } from './faults.ts'
import { HealthMonitor } from './health-monitor.ts'
import { Media } from './media.ts'
import type { KeepMemory, MemoryOrder } from './keep-memory.ts'
import { NicPort } from './nic-port.ts'
import { diskOf, type OpenDrive } from './open-drive.ts'
import {
  clearAbsentBars,
  InstructionCounter,
  limitTranslation,
  patchDisks,
  patchMainLoop,
  pressPowerButton,
  repairAcpi,
  repairReset,
  repairRetrace,
  setUpNic,
  watchPowerOff,
  type FlushableDisk,
} from './patches.ts'
import { EmbeddedScreen } from './screen.ts'
import { EmbeddedSerial } from './serial.ts'
import { SharedFolders, type OpenFolder } from './shared-folders.ts'
import { repairPortMoves, shareInterruptLines, wakeGuest } from './virtio-patches.ts'
import { V86_VERSION, type Clock, type Emulator } from './v86.ts'

/** How often counters are brought up to date while the machine runs. */
const PUBLISH_MS = 250

export interface MachineParts {
  spec: MachineSpec
  counters: Counters
  rings: Attachments['rings']
  emulator: Emulator
  /** By id. What is in CD and floppy drives changes. */
  drives: Map<string, OpenDrive>
  /** The machine's from here on. */
  folders: OpenFolder[]
  clock: Clock
  keep: KeepMemory
}

type State = 'built' | 'running' | 'paused' | 'stopping' | 'stopped'

export class EmbeddedMachine implements EngineMachine {
  readonly serial: readonly EmbeddedSerial[]
  readonly display: RfbDisplay
  readonly agent: AgentPort
  #nic: NicPort | null
  #parts: MachineParts
  /** As it is now. */
  #spec: MachineSpec
  #media: Media
  #state: State = 'built'
  #onEvent = new Emitter<MachineEvent>()
  #instructions: InstructionCounter
  #health: HealthMonitor
  #folders: SharedFolders
  #cpuBefore = 0
  #haltedSince: number | null = null
  #haltedMs = 0
  #turns = 0
  #nextPublish = 0
  /** Writes the memory that was captured last. */
  #captured: (() => Promise<MemoryHeader>) | null = null

  readonly onEvent = this.#onEvent.event

  constructor(parts: MachineParts) {
    this.#parts = parts
    this.#spec = parts.spec
    const core = parts.emulator.v86
    const { cpu } = core
    this.#media = new Media(cpu, parts.drives, parts.counters)
    limitTranslation(cpu)
    clearAbsentBars(cpu)
    repairAcpi(cpu)
    watchPowerOff(cpu, () => void this.#stop('guest-poweroff'))
    repairReset(cpu, parts.spec.boot.kind === 'kernel', () => this.#rebooted())
    repairRetrace(cpu, parts.clock)
    if (parts.spec.nics[0]) setUpNic(cpu, parts.spec.nics[0].mac, parts.spec.nics[0].linkUp === true)
    const ours = new Set<unknown>(this.#disks())
    patchDisks(
      cpu,
      (disk) => (ours.has(disk) ? (disk as FlushableDisk) : null),
      () => wakeGuest(core),
    )
    this.serial = Array.from({ length: parts.spec.serialPorts }, (_, index) => new EmbeddedSerial(cpu, index, parts.counters))
    this.display = new RfbDisplay(new EmbeddedScreen(parts.emulator, () => this.#state === 'running'), parts.spec.name)
    this.agent = new AgentPort(parts.emulator)
    const nic = parts.spec.nics[0]
    this.#nic = nic
      ? new NicPort(parts.emulator, parts.rings[nic.id] ?? makeFrameRing(), nic.linkUp === true, () => this.#state === 'running')
      : null
    this.#folders = new SharedFolders(core, parts.folders)
    repairPortMoves(cpu)
    shareInterruptLines(cpu, this.#folders.devices)
    this.#instructions = new InstructionCounter(cpu)
    this.#health = new HealthMonitor(parts.emulator, parts.counters)
    patchMainLoop(core, {
      before: () => this.#beforeTurn(),
      after: (halted) => this.#afterTurn(halted),
      fault: (error) => this.trap(error),
    })
  }

  get stopped(): boolean {
    return this.#state === 'stopped' || this.#state === 'stopping'
  }

  start(): Promise<void> {
    this.#expect(['built'], 'started')
    this.#run()
    return Promise.resolve()
  }

  async pause(): Promise<void> {
    this.#expect(['running'], 'paused')
    this.#state = 'paused'
    await this.#halt()
    this.#onEvent.fire({ kind: 'paused' })
  }

  resume(): Promise<void> {
    this.#expect(['paused'], 'resumed')
    this.#run()
    return Promise.resolve()
  }

  powerButton(): Promise<void> {
    this.#expect(['running'], 'asked to shut down')
    pressPowerButton(this.#parts.emulator.v86.cpu)
    return Promise.resolve()
  }

  reset(): Promise<void> {
    this.#expect(['running', 'paused'], 'reset')
    this.#parts.emulator.v86.restart()
    return Promise.resolve()
  }

  async powerOff(): Promise<void> {
    this.#expect(['built', 'running', 'paused'], 'switched off')
    await this.#stop('powered-off')
  }

  async change(change: LiveChange, block: BlockClient | null): Promise<void> {
    this.#expect(['running', 'paused'], 'changed')
    switch (change.kind) {
      case 'insert':
        await this.#media.insert(this.#spec, change, block)
        break
      case 'eject':
        await this.#media.eject(this.#spec, change.drive)
        break
      case 'link':
        this.#setLink(change.nic, change.up)
        break
      default:
        throw new AppError('unsupported', 'The embedded engine cannot change this while the machine runs. Switch the machine off first.')
    }
    this.#note(change)
  }

  cutLink(nic: string, cut: boolean): Promise<void> {
    this.#expect(['built', 'running', 'paused'], 'unplugged')
    if (!this.#spec.nics.some(({ id }) => id === nic))
      throw new AppError('not-found', `The machine has no network card “${nic}”.`, { subject: nic })
    this.#nic?.setCut(cut)
    return Promise.resolve()
  }

  async saveMemory(place: MemoryPlace): Promise<MemoryHeader> {
    this.#expect(['paused'], 'suspended')
    await this.#quiet()
    return this.#parts.keep(this.#takeMemory(place))
  }

  async capture({ memory }: CaptureOrder): Promise<void> {
    this.#expect(['paused'], 'captured for a snapshot')
    await this.#quiet()
    const order = memory && this.#takeMemory(memory)
    this.#captured = order && (() => this.#parts.keep(order))
  }

  /** It is looked through and written only now that the guest runs again. */
  captured(): Promise<MemoryHeader> {
    const keep = this.#captured
    if (!keep) throw new AppError('wrong-state', 'No memory of this machine was captured.')
    this.#captured = null
    return keep()
  }

  /** Nothing is under way, and everything that the guest wrote is on disk. */
  async #quiet(): Promise<void> {
    for (const disk of this.#disks()) await disk.idle()
    await this.#folders.idle()
    await this.#flushDisks()
  }

  /** As it is now. */
  #takeMemory(place: MemoryPlace): MemoryOrder {
    const { emulator, clock } = this.#parts
    const { id, memoryMiB } = this.#spec
    return { place, owner: { engineVersion: V86_VERSION, machine: id, memoryMiB }, state: emulator.v86.save_state(), clockMs: clock() }
  }

  /** v86 failed: the machine ends here, with the cause kept. */
  trap(error: unknown): void {
    if (!this.stopped) void this.#stop('trap', trapped(error))
  }

  dispose(): void {
    this.#state = 'stopped'
    this.#captured = null
    this.#parts.emulator.v86.stop()
    for (const port of this.serial) port.close()
    this.agent.close()
    this.#nic?.close()
    void this.#folders.close()
    this.display.dispose()
    this.#onEvent.dispose()
  }

  #run(): void {
    this.#state = 'running'
    const cpu = process.threadCpuUsage()
    this.#cpuBefore = cpu.user + cpu.system
    this.#haltedSince = null
    this.#nextPublish = 0
    this.#health.begin()
    this.#parts.emulator.v86.run()
    for (const port of this.serial) port.feed()
    this.#onEvent.fire({ kind: 'running' })
  }

  /** Resolves when v86 executes nothing any more. */
  #halt(): Promise<void> {
    const { emulator } = this.#parts
    const core = emulator.v86
    if (!core.running) return Promise.resolve()
    return new Promise((resolve) => {
      const stopped = (): void => {
        emulator.remove_listener('emulator-stopped', stopped)
        this.#publish(performance.now())
        resolve()
      }
      emulator.add_listener('emulator-stopped', stopped)
      core.stop()
      // A halted guest may sleep for long: come round now.
      core.next_tick(0)
    })
  }

  async #stop(reason: StopReason, cause?: AppError): Promise<void> {
    this.#state = 'stopping'
    let error = cause
    // After a trap the main loop does not come round again.
    if (reason !== 'trap') await this.#halt()
    for (const port of this.serial) port.close()
    this.agent.close()
    this.#nic?.close()
    void this.#folders.close()
    try {
      await this.#flushDisks()
    } catch (failed) {
      error ??= asAppError(failed, 'Writing the last data of the machine’s disks')
    }
    this.#state = 'stopped'
    this.#onEvent.fire({ kind: 'stopped', reason, ...(error ? { error: error.toWire() } : {}) })
  }

  async #flushDisks(): Promise<void> {
    await Promise.all(this.#disks().map((disk) => disk.flushed()))
  }

  #setLink(id: string, up: boolean): void {
    if (!this.#spec.nics.some((nic) => nic.id === id))
      throw new AppError('not-found', `The machine has no network card “${id}”.`, { subject: id })
    this.#nic?.setLink(up)
  }

  #note(change: LiveChange): void {
    this.#spec = changedSpec(this.#spec, change)
    this.#onEvent.fire({ kind: 'hardware', spec: this.#spec, leaving: [] })
  }

  #disks(): BlockDisk[] {
    return [...this.#parts.drives.values()].flatMap(({ image }) => (image ? [diskOf(image)] : []))
  }

  #rebooted(): void {
    this.#health.rebooted()
    this.agent.reset()
    this.#onEvent.fire({ kind: 'rebooted' })
  }

  #beforeTurn(): void {
    this.#turns++
    if (this.#haltedSince === null) return
    this.#haltedMs += performance.now() - this.#haltedSince
    this.#haltedSince = null
  }

  #afterTurn(halted: boolean): void {
    for (const port of this.serial) port.flush()
    this.agent.turn()
    this.#nic?.turn()
    const ejected = this.#media.ejectedByGuest()
    if (ejected !== null) this.#note({ kind: 'eject', drive: ejected })
    if (this.#state !== 'running') return
    const now = performance.now()
    if (halted) this.#haltedSince = now
    else this.#health.sample(now)
    if (now >= this.#nextPublish) this.#publish(now)
  }

  #publish(now: number): void {
    this.#nextPublish = now + PUBLISH_MS
    const { counters, emulator } = this.#parts
    const cpu = process.threadCpuUsage()
    counters.add('cpuMicros', cpu.user + cpu.system - this.#cpuBefore)
    this.#cpuBefore = cpu.user + cpu.system
    counters.set('instructions', this.#instructions.read())
    counters.add('heartbeats', this.#turns)
    this.#turns = 0
    counters.add('haltedMicros', Math.round(this.#haltedMs * 1000))
    this.#haltedMs = 0
    counters.set('memoryBytes', emulator.v86.cpu.wasm_memory.buffer.byteLength)
    const verdict = this.#health.judge(now)
    if (verdict && this.#state === 'running') this.#onEvent.fire({ kind: 'health', ...verdict })
  }

  #expect(states: readonly State[], what: string): void {
    if (states.includes(this.#state)) return
    const now = { built: 'not started yet', running: 'running', paused: 'paused', stopping: 'switching off', stopped: 'off' }[this.#state]
    throw new AppError('wrong-state', `The machine cannot be ${what} now: it is ${now}.`)
  }
}
