/**
 * One machine on QEMU. Theory of operation: QEMU is the truth about whether the guest runs. Its events (STOP, RESUME, RESET, SHUTDOWN) move the
 * state here, whoever caused them: we, the guest, a full disk, or a tool on the second control socket. The machine is over when the process
 * is; how it ended and what QEMU said before decide what people are told.
 */
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { LiveChange } from '../../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { SocketLink } from '../../../src-shared/threads/network-thread.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { MemoryHeader, MemoryPlace } from '../../../src-shared/threads/engine-thread.ts'
import type { CaptureOrder, DiskMerge, EngineMachine, MachineEvent } from '../engine.ts'
import { LiveDevices } from './live/live-devices.ts'
import { QemuAgentPort } from './qemu-agent-port.ts'
import { QemuDisplay } from './qemu-display.ts'
import { QemuMeter } from './qemu-meter.ts'
import { QemuSerial, rotateLog } from './qemu-serial.ts'
import { deviceOf } from './qmp/device-of.ts'
import type { QmpEvent } from './qmp/messages.ts'
import { CAPTURED_AT_ONCE, refuseBlocked, saveMemory, type SavedMemory } from './saved-memory.ts'
import { judgeEnd, type ShutdownCause } from './supervise/death.ts'
import type { Instance } from './supervise/launch.ts'
import { forgetRan, removeMachineFolder, writeRecord } from './supervise/machine-folder.ts'
import type { ProcessEnd } from './supervise/qemu-process.ts'

/** ms that QEMU gets to end by itself before it is killed. It writes out its disks meanwhile. */
export const QUIT_PATIENCE = 1500

type State = 'built' | 'running' | 'paused' | 'stopping' | 'stopped'

export class QemuMachine implements EngineMachine {
  readonly serial: readonly QemuSerial[]
  readonly display: QemuDisplay | null
  readonly agent: QemuAgentPort | null
  #instance: Instance
  #state: State
  #meter: QemuMeter
  #live: LiveDevices
  #onEvent = new Emitter<MachineEvent>()
  #asked = false
  #cause: ShutdownCause = null
  /** Why QEMU is about to stop the guest by itself. */
  #ioError: QmpEvent | null = null
  /** It runs for an instant that is nobody's business. */
  #nudging = false
  #captured: SavedMemory | null = null
  readonly #over: Promise<void>

  readonly onEvent = this.#onEvent.event

  /**
   * @param state what it does now
   * @param earlier by port: what it printed before this host came
   */
  constructor(instance: Instance, counters: Counters, state: 'built' | 'paused', earlier: readonly Uint8Array[] = []) {
    const { record, folder, qmp, process } = instance
    this.#instance = instance
    this.#state = state
    this.serial = instance.serial.map((socket, port) => new QemuSerial(socket, counters, earlier[port]))
    this.display = record.runtime.display && new QemuDisplay(record.runtime.display, qmp, folder)
    this.agent = instance.agent && new QemuAgentPort(instance.agent, qmp)
    this.#meter = new QemuMeter(process.pid, qmp, counters, {
      verdict: (verdict) => this.#state === 'running' && this.#onEvent.fire({ kind: 'health', ...verdict }),
      second: () => this.#rotateLogs(),
    })
    this.#live = new LiveDevices(instance, {
      running: () => this.#state === 'running',
      changed: (spec, leaving) => this.#onEvent.fire({ kind: 'hardware', spec, leaving }),
    })
    qmp.onEvent((event) => this.#onQmp(event))
    this.#over = process.ended.then((end) => this.#ended(end))
  }

  get stopped(): boolean {
    return this.#state === 'stopping' || this.#state === 'stopped'
  }

  async start(): Promise<void> {
    this.#expect(['built'], 'started')
    for (const port of this.serial) port.listen()
    await this.#instance.qmp.execute('cont')
  }

  async pause(): Promise<void> {
    this.#expect(['running'], 'paused')
    await this.#instance.qmp.execute('stop')
    await this.#meter.sample()
  }

  async resume(): Promise<void> {
    this.#expect(['paused'], 'resumed')
    for (const port of this.serial) port.listen()
    await this.#instance.qmp.execute('cont')
    await forgetRan(this.#instance.folder)
  }

  async powerButton(): Promise<void> {
    this.#expect(['running'], 'asked to shut down')
    await this.#instance.qmp.execute('system_powerdown')
  }

  async reset(): Promise<void> {
    this.#expect(['running', 'paused'], 'reset')
    await this.#instance.qmp.execute('system_reset')
  }

  async powerOff(): Promise<void> {
    this.#expect(['built', 'running', 'paused'], 'switched off')
    this.#state = 'stopping'
    this.#asked = true
    this.#instance.qmp.execute('quit').catch(() => {})
    const patience = setTimeout(() => void this.#instance.process.kill(), QUIT_PATIENCE)
    await this.#over
    clearTimeout(patience)
  }

  change(change: LiveChange, _block: null, signal: AbortSignal): Promise<void> {
    this.#expect(['running', 'paused'], 'changed')
    return this.#live.change(change, signal)
  }

  nicLinks(): Readonly<Record<string, SocketLink>> {
    return { ...this.#instance.record.runtime.nics }
  }

  cutLink(nic: string, cut: boolean): Promise<void> {
    return this.#live.cutLink(nic, cut)
  }

  get unmountsShares(): boolean {
    return this.#instance.record.spec.sharedFolders.length > 0
  }

  /** Of a machine that ran without a host: what its guest did meanwhile. */
  catchUp(): Promise<MachineSpec> {
    return this.#live.catchUp().then(() => this.#instance.record.spec)
  }

  async saveMemory(place: MemoryPlace): Promise<MemoryHeader> {
    this.#expect(['paused'], 'suspended')
    await this.#live.settled()
    await this.#leaveMigrated()
    return saveMemory(this.#instance, place).kept
  }

  async capture({ memory, disks }: CaptureOrder): Promise<void> {
    this.#expect(['paused'], 'captured for a snapshot')
    if (memory) await refuseBlocked(this.#instance)
    await this.#live.settled()
    await this.#leaveMigrated()
    await this.#live.goOnIn(disks)
    this.#captured = memory && saveMemory(this.#instance, memory, CAPTURED_AT_ONCE)
    await this.#captured?.passed
  }

  captured(): Promise<MemoryHeader> {
    if (!this.#captured) throw new AppError('wrong-state', 'No memory of this machine was captured.')
    return this.#captured.kept
  }

  async mergeDisk(merge: DiskMerge, signal: AbortSignal): Promise<void> {
    this.#expect(['running', 'paused'], 'merged')
    // Images whose memory was passed on are nobody's to write.
    await this.#leaveMigrated()
    return this.#live.merge(merge, signal, (done, total) => this.#onEvent.fire({ kind: 'merging', done, total }))
  }

  /** A machine that still runs is killed: nobody would know of it. */
  dispose(): void {
    if (this.#state !== 'stopped') {
      this.#asked = true
      void this.#instance.process.kill()
    }
    this.#release()
    this.#onEvent.dispose()
  }

  /** QEMU passes on its memory once in each stop: one whose memory was saved before runs for an instant first. */
  async #leaveMigrated(): Promise<void> {
    const { qmp } = this.#instance
    if ((await qmp.execute('query-status')).status !== 'postmigrate') return
    this.#nudging = true
    try {
      await qmp.execute('cont')
      await qmp.execute('stop')
    } finally {
      this.#nudging = false
    }
  }

  #onQmp(event: QmpEvent): void {
    if (this.#nudging && (event.name === 'RESUME' || event.name === 'STOP')) return
    if (this.stopped && event.name !== 'SHUTDOWN') return
    switch (event.name) {
      case 'RESUME':
        if (this.#state === 'running') break
        this.#state = 'running'
        this.#meter.start()
        this.#onEvent.fire({ kind: 'running' })
        break
      case 'STOP':
        if (this.#state !== 'running') break
        this.#state = 'paused'
        this.#meter.stop()
        this.#onEvent.fire({ kind: 'paused', ...(this.#ioError ? { error: ioError(this.#ioError).toWire() } : {}) })
        this.#ioError = null
        break
      case 'RESET':
        this.#onEvent.fire({ kind: 'rebooted' })
        break
      case 'SHUTDOWN':
        this.#cause = text(event.data['reason'])
        break
      case 'BLOCK_IO_ERROR':
        if (event.data['action'] === 'stop') this.#ioError = event
        break
      case 'GUEST_PANICKED':
        this.#onEvent.fire({ kind: 'health', health: 'spinning', detail: 'The guest’s kernel panicked and stopped.' })
        break
      default: // Nothing that changes what runs.
    }
  }

  async #ended(end: ProcessEnd): Promise<void> {
    this.#state = 'stopping'
    this.#meter.stop()
    // What it printed last is still in the connections.
    for (const port of this.serial) port.listen()
    await Promise.all(this.serial.map((port) => port.ended))
    this.#release()
    await removeMachineFolder(this.#instance.folder).catch((error: unknown) => console.error((error as Error).message))
    this.#state = 'stopped'
    const { reason, error } = judgeEnd(end, this.#cause, this.#asked)
    this.#onEvent.fire({ kind: 'stopped', reason, ...(error ? { error: error.toWire() } : {}) })
  }

  #release(): void {
    this.#meter.stop()
    for (const port of this.serial) port.close()
    this.agent?.close()
    this.#instance.qmp.dispose()
    this.#instance.process.dispose()
  }

  async #rotateLogs(): Promise<void> {
    const { record, folder } = this.#instance
    for (const [port, { log }] of record.runtime.serial.entries()) {
      if (log === null || !(await rotateLog(log))) continue
      record.logStarts[port] = 0
      if (this.#state !== 'stopped') await writeRecord(folder, record)
    }
  }

  #expect(states: readonly State[], what: string): void {
    if (states.includes(this.#state)) return
    // It died, which is about to be told with its cause.
    if (this.#state === 'stopping' && !this.#asked) throw new AppError('disconnected', 'QEMU has ended.')
    const now = { built: 'not started yet', running: 'running', paused: 'paused', stopping: 'switching off', stopped: 'off' }[this.#state]
    throw new AppError('wrong-state', `The machine cannot be ${what} now: it is ${now}.`)
  }
}

/** An event's field; empty where QEMU sends none, or what is no text. */
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** BLOCK_IO_ERROR (qapi/block-core.json). */
function ioError({ data }: QmpEvent): AppError {
  const drive = deviceOf(data['qom-path']) || deviceOf(data['device'])
  const what = data['operation'] === 'read' ? 'reading from' : 'writing to'
  if (data['nospace'] === true)
    return new AppError(
      'no-space',
      `The machine was paused: this computer’s disk is full, so that ${what} its drive “${drive}” failed. Free some space, then resume it.`,
    )
  return new AppError('io', `The machine was paused: ${what} its drive “${drive}” failed (${text(data['reason'])}).`)
}
