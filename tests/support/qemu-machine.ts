/** Machines on the computer's own QEMU whose whole system is a BIOS that gives back what is typed. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import type { EngineMachine, MachineEvent } from '../../src-main/engines/engine.ts'
import { QemuEngine } from '../../src-main/engines/qemu/qemu-engine.ts'
import type { QemuMachine } from '../../src-main/engines/qemu/qemu-machine.ts'
import type { RuntimePlaces } from '../../src-main/process/private-folder.ts'
import { newId } from '../../src-shared/base/ids.ts'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'
import { Counters } from '../../src-shared/threads/counters.ts'
import { echoBios } from './echo-bios.ts'
import { QEMU_PROGRAM, QEMU_VERSION } from './qemu-program.ts'
import { qemuSpec } from './qemu-spec.ts'
import { tempFolder } from './temp-folder.ts'
import { memoryPlace } from './memory-place.ts'

export async function echoSpec(folder: string, change: Partial<Omit<MachineSpec, 'qemu'>> = {}): Promise<MachineSpec> {
  const code = join(folder, 'bios.bin')
  await writeFile(code, echoBios())
  return qemuSpec(
    { id: newId(), name: 'echo', memoryMiB: 16, logFolder: join(folder, 'logs'), ...change },
    {
      ...{ binary: QEMU_PROGRAM!, version: QEMU_VERSION, machineType: 'pc', display: 'vga' },
      ...{ sandbox: process.platform === 'linux', firmware: { kind: 'bios', code } },
    },
  )
}

/** What a machine says and prints, from now on. */
export class Listener {
  readonly events: MachineEvent[] = []
  text = ''
  #wake: (() => void)[] = []

  constructor(machine: EngineMachine) {
    machine.onEvent((event) => (this.events.push(event), this.#changed()))
    machine.serial[0]!.onOutput((bytes) => ((this.text += Buffer.from(bytes).toString('latin1')), this.#changed()))
  }

  async printed(text: string): Promise<void> {
    while (!this.text.includes(text)) await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  async event<K extends MachineEvent['kind']>(kind: K): Promise<MachineEvent & { kind: K }> {
    for (;;) {
      const found = this.events.find((event) => event.kind === kind)
      if (found) return found as MachineEvent & { kind: K }
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/** What each test of a describe has for itself: an engine, a machine's spec, and the machines made here, which end with the test. */
export class QemuBench {
  folder = ''
  /** Where the private folders of its machines are, and nowhere else: what a test leaves behind is seen. */
  runtime = ''
  places: RuntimePlaces = {}
  engine = new QemuEngine()
  spec!: MachineSpec
  counters = new Counters()
  readonly machines: QemuMachine[] = []

  /** @param makeSpec in a folder; absent: that of a machine without devices */
  constructor(makeSpec: (folder: string) => Promise<MachineSpec> = echoSpec) {
    beforeEach(async () => {
      this.folder = await tempFolder()
      this.runtime = join(this.folder, 'r')
      await mkdir(this.runtime, { mode: 0o700 })
      this.places = { env: { XDG_RUNTIME_DIR: this.runtime }, platform: 'freebsd', temporary: join(this.folder, 'none') }
      this.engine = new QemuEngine(this.places)
      this.spec = await makeSpec(this.folder)
      this.counters = new Counters()
    })
    afterEach(async () => {
      for (const machine of this.machines.splice(0)) {
        await machine.powerOff().catch(() => {})
        machine.dispose()
      }
    })
  }

  async create(change: Partial<MachineSpec> = {}, memory: string | null = null): Promise<QemuMachine> {
    const machine = await this.engine.create(
      { ...this.spec, ...change },
      { blocks: new Map(), counters: this.counters, rings: {}, memory: memory === null ? null : memoryPlace(memory) },
    )
    this.machines.push(machine)
    return machine
  }

  /** Its guest has greeted. */
  async boot(change: Partial<MachineSpec> = {}): Promise<{ machine: QemuMachine; heard: Listener }> {
    const machine = await this.create(change)
    const heard = new Listener(machine)
    await machine.start()
    await heard.printed('A')
    return { machine, heard }
  }
}
