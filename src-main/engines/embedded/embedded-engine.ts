/**
 * The embedded engine: v86 in this thread. It needs nothing installed and no rights; guest code runs inside WebAssembly. One machine for each
 * thread, because a fault of v86 takes its whole thread along.
 */
import { EMBEDDED_LIMITS } from '../../../src-shared/model/engine-limits.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { EngineCapabilities } from '../../../src-shared/threads/engine-thread.ts'
import type { Attachments, Engine, EngineMachine } from '../engine.ts'
import { buildMachine } from './build-machine.ts'
import type { EmbeddedMachine } from './embedded-machine.ts'
import { trapped } from './faults.ts'
import type { KeepMemory } from './keep-memory.ts'
import { V86_VERSION } from './v86.ts'

export class EmbeddedEngine implements Engine {
  #machine: EmbeddedMachine | null = null
  #keep: KeepMemory
  #failBuilding: ((error: AppError) => void) | null = null

  /** @param keep writes memory states */
  constructor(keep: KeepMemory) {
    this.#keep = keep
  }

  describe(): Promise<EngineCapabilities> {
    return Promise.resolve({
      engine: 'embedded',
      version: V86_VERSION,
      arches: ['i386'],
      maxMemoryMiB: EMBEDDED_LIMITS.memoryMiB.max,
      maxCpus: EMBEDDED_LIMITS.maxCpus,
      serialPorts: EMBEDDED_LIMITS.serialPorts,
      maxDisks: EMBEDDED_LIMITS.drives.disk,
      isolation: 'Guest code runs inside WebAssembly, in a thread of its own, with no access to files, network or other machines.',
      features: ['pause', 'suspend', 'powerButton', 'reset'],
      live: ['cdrom', 'floppy', 'link'],
    })
  }

  /** @throws AppError: what of the spec cannot be built, and why */
  async create(spec: MachineSpec, attach: Attachments): Promise<EngineMachine> {
    if (this.#machine && !this.#machine.stopped)
      throw new AppError('busy', 'This thread of the embedded engine already runs a machine. Each machine needs a thread of its own.')
    // v86 builds in callbacks of its own: what they throw comes back through `fault`.
    const failed = new Promise<never>((_resolve, reject) => (this.#failBuilding = reject))
    try {
      this.#machine = await Promise.race([buildMachine(spec, attach, this.#keep), failed])
      return this.#machine
    } finally {
      this.#failBuilding = null
    }
  }

  /** An exception that nobody caught in this thread: v86's or the guest's WebAssembly. Only this thread's machine ends. */
  fault(error: unknown): void {
    if (this.#failBuilding) this.#failBuilding(trapped(error))
    else this.#machine?.trap(error)
  }
}
