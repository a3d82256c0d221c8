/** Machines on the computer's own QEMU whose whole system is a BIOS that gives back what is typed. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineMachine, MachineEvent } from '../../src-main/engines/engine.ts'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'
import { newId } from '../../src-shared/base/ids.ts'
import { echoBios } from './echo-bios.ts'
import { QEMU_PROGRAM, QEMU_VERSION } from './qemu-program.ts'
import { qemuSpec } from './qemu-spec.ts'

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
