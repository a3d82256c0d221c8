/** The QEMU engine: one thread supervises all QEMU processes. What each program can do was found out before (find/); the planner decided by it. */
import { LIVE_KINDS } from '../../../src-shared/model/live-hardware.ts'
import { ARCHES, CPUS, MAX_DRIVES, MEMORY_MIB, SERIAL_PORTS } from '../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { EngineCapabilities, MemoryPlace } from '../../../src-shared/threads/engine-thread.ts'
import type { RuntimePlaces } from '../../process/private-folder.ts'
import type { Attachments, Engine } from '../engine.ts'
import { qemuArguments } from './arguments/qemu-arguments.ts'
import { QemuMachine } from './qemu-machine.ts'
import { readEarlier } from './qemu-serial.ts'
import { checkMemory, loadMemory, openForQemu } from './saved-memory.ts'
import { checkFiles } from './check-files.ts'
import { launch, takeOver, type Instance, type MakeArguments } from './supervise/launch.ts'
import { findSurvivors, type Found } from './supervise/survivors.ts'

/** ms that a machine that ran before gets to answer: another host that has it would never leave. */
const ADOPT_PATIENCE = 3000
/** The oldest that has all that is used. */
const OLDEST = 'QEMU 7.2 or later'

/** A machine that an earlier host left running and that now is this one's. */
export interface Adopted {
  machine: QemuMachine
  spec: MachineSpec
  /** ISO 8601. */
  startedAt: string
  running: boolean
}

export class QemuEngine implements Engine {
  #machines = new Map<string, QemuMachine>()
  #makeArguments: MakeArguments
  #places: RuntimePlaces

  /** @param places where the machines' private folders are, for tests */
  constructor(places: RuntimePlaces = {}, makeArguments: MakeArguments = qemuArguments) {
    this.#places = places
    this.#makeArguments = makeArguments
  }

  describe(): Promise<EngineCapabilities> {
    return Promise.resolve({
      engine: 'qemu',
      version: OLDEST,
      arches: [...ARCHES],
      maxMemoryMiB: MEMORY_MIB.max,
      maxCpus: CPUS.max,
      serialPorts: SERIAL_PORTS.max,
      maxDisks: MAX_DRIVES,
      isolation:
        'Each machine is a process of its own, with private sockets and, on Linux, forbidden to start programs. Under TCG QEMU’s makers promise no security boundary.',
      features: ['pause', 'suspend', 'powerButton', 'reset', 'mergeDisk'],
      live: [...LIVE_KINDS],
    })
  }

  /** @throws AppError why it cannot be built, by QEMU's own words where it has some */
  async create(spec: MachineSpec, { counters, memory }: Attachments): Promise<QemuMachine> {
    this.#refuseTwice(spec)
    await checkFiles(spec)
    if (memory) await checkMemory(memory, spec)
    for (const { record } of await findSurvivors(this.#places))
      if (record.spec.id === spec.id && record.spec.logFolder === spec.logFolder && !this.#machines.has(spec.id))
        throw new AppError('busy', `“${spec.name}” still runs from before. Take it over, or end the process ${record.pid}.`)
    const instance = await this.#launch(spec, memory)
    const machine = new QemuMachine(instance, counters, 'built')
    try {
      if (memory) await loadMemory(instance, memory)
      // After its memory, which has the links as they were.
      for (const { id, linkUp } of spec.nics) await instance.qmp.execute('set_link', { name: id, up: linkUp === true })
    } catch (error) {
      await machine.powerOff().catch(() => {})
      throw error
    }
    return this.#keep(spec.id, machine)
  }

  async #launch(spec: MachineSpec, memory: MemoryPlace | null): Promise<Instance> {
    const file = memory && (await openForQemu(memory.path))
    try {
      const options = { makeArguments: this.#makeArguments, places: this.#places }
      return await launch(spec, { ...options, memory: memory && { fd: file?.fd ?? null } })
    } finally {
      await file?.close()
    }
  }

  /** Machines that run and that no host knows: an earlier one ended without them. Removes what is left of those that do not run. */
  async survivors(): Promise<Found[]> {
    return (await findSurvivors(this.#places)).filter(({ record }) => !this.#isOurs(record.spec.id))
  }

  /**
   * Takes over a machine that still runs. It stands still for a few ms.
   * @throws AppError `not-found` where it does not run, `busy` where another host has it
   */
  async adopt(id: string, logFolder: string, counters: Counters): Promise<Adopted> {
    const found = (await this.survivors()).find(({ record: { spec } }) => spec.id === id && spec.logFolder === logFolder)
    if (!found) throw new AppError('not-found', 'No such machine runs from before.', { subject: id })
    const { folder, record } = found
    const { instance, running } = await takeOver(folder, record, AbortSignal.timeout(ADOPT_PATIENCE)).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'cancelled')
        throw new AppError('busy', `“${record.spec.name}” runs, but does not answer: another Coppice has it.`, { subject: id }, error)
      throw error
    })
    const earlier = await Promise.all(
      record.runtime.serial.map(async ({ log }, port) => (log === null ? new Uint8Array() : readEarlier(log, record.logStarts[port] ?? 0))),
    )
    const machine = this.#keep(id, new QemuMachine(instance, counters, 'paused', earlier))
    return { machine, spec: await machine.catchUp(), startedAt: record.startedAt, running }
  }

  #isOurs(id: string): boolean {
    const machine = this.#machines.get(id)
    return machine !== undefined && !machine.stopped
  }

  #refuseTwice({ id, name }: MachineSpec): void {
    if (this.#isOurs(id)) throw new AppError('busy', `“${name}” already runs.`, { subject: id })
  }

  #keep(id: string, machine: QemuMachine): QemuMachine {
    this.#machines.set(id, machine)
    machine.onEvent(({ kind }) => {
      if (kind === 'stopped' && this.#machines.get(id) === machine) this.#machines.delete(id)
    })
    return machine
  }
}
