/** Machines' network cards: which there are, and moving them from one network to another, as machine.json of each has it. */
import type { MachineChange, MachineView } from '../../../src-shared/api/machines.ts'
import type { Event } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig, MachinePatch, Nic } from '../../../src-shared/model/machine.ts'
import { isEditable } from '../../../src-shared/model/machine-state.ts'
import type { Machine } from '../machines/machine.ts'
import { unseen, type Bridge } from '../planner/plan-bridge.ts'
import { portName } from './network-wiring.ts'

/** What networks need of the machines. */
export interface NetworkMachines {
  /** When everything that runs from before is known. */
  all(): Promise<Machine[]>
  active(): Machine[]
  views(): MachineView[]
  find(id: string): Promise<Machine>
  readonly onChanged: Event<MachineChange>
  update(id: string, patch: MachinePatch, signal: AbortSignal): Promise<MachineView>
}

export interface FoundNic {
  machine: Machine
  config: MachineConfig
  nic: Nic
}

export class MachinePlugs {
  #machines: NetworkMachines

  constructor(machines: NetworkMachines) {
    this.#machines = machines
  }

  /** @throws AppError `not-found` for the machine or the card, or why the machine cannot be read */
  async find(id: string, nicId: string): Promise<FoundNic> {
    const machine = await this.#machines.find(id)
    const { config, name, problem } = machine.bundle
    if (!config) throw problem ?? new AppError('corrupt', `“${name}” cannot be read.`)
    const nic = config.nics.find((one) => one.id === nicId)
    if (!nic) throw new AppError('not-found', `“${name}” has no network card “${nicId}”.`, { subject: nicId })
    return { machine, config, nic }
  }

  /** @param network null: nowhere  @throws AppError why it stays */
  async connect(id: string, nicId: string, network: string | null, signal: AbortSignal): Promise<void> {
    const { machine, config, nic } = await this.find(id, nicId)
    if (nic.network === network) return
    const why = whyItStays(machine, 'its network cards stay where they are')
    if (why !== null) throw new AppError('wrong-state', why, { subject: machine.bundle.name })
    await this.#machines.update(id, { nics: config.nics.map((one) => (one === nic ? { ...one, network } : one)) }, signal)
  }

  /**
   * Leaves a network without cards.
   * @param unplug false: it must be without them
   * @throws AppError `wrong-state` with the names of who is in it, or stays in it; nothing is unplugged then
   */
  async clear(network: string, unplug: boolean, signal: AbortSignal): Promise<void> {
    const plugged = (await this.#machines.all()).filter(({ bundle }) => bundle.config?.nics.some((nic) => nic.network === network))
    if (plugged.length === 0) return
    if (!unplug) {
      const names = plugged.map(({ bundle }) => `“${bundle.name}”`).join(', ')
      const they = plugged.length > 1 ? 'them' : 'it'
      const text = `The network “${network}” is in use by ${names}. Plug ${they} in elsewhere first, or have ${they} unplugged.`
      throw new AppError('wrong-state', text, { subject: network })
    }
    const staying = plugged.flatMap((machine) => whyItStays(machine, `its network card stays in “${network}”, which is not removed`) ?? [])
    if (staying.length > 0) throw new AppError('wrong-state', staying.join(' '), { subject: network })
    for (const { id, bundle, state, session } of plugged) {
      // One that cannot be read as it is changes nothing.
      if (!session && !isEditable(state)) continue
      const nics = bundle.config!.nics.map((nic) => (nic.network === network ? { ...nic, network: null } : nic))
      await this.#machines.update(id, { nics }, signal)
    }
  }

  /** @throws AppError `unsupported` for a card whose frames do not pass Coppice */
  refuseJoined({ machine, nic }: FoundNic): void {
    const bridge = this.joined().get(portName(machine.id, nic.id))
    if (bridge) throw new AppError('unsupported', `“${nic.id}” of “${machine.bundle.name}”: ${unseen(bridge.card)}`, { subject: nic.id })
  }

  /** By port: cards that QEMU joined to this computer's network itself. */
  joined(): Map<string, Bridge> {
    const found = new Map<string, Bridge>()
    for (const { id, session } of this.#machines.active())
      for (const { id: nic, bridge } of session?.spec?.nics ?? []) if (bridge) found.set(portName(id, nic), bridge)
    return found
  }
}

/** A suspended machine's guest would go on in another network without having seen its cable pulled; a template is as it is. Null: it may change. */
function whyItStays({ bundle, state, session }: Machine, what: string): string | null {
  if (bundle.config?.template) return `“${bundle.name}” is a template: ${what}. Make it an ordinary machine first.`
  if (state !== 'suspended' || session) return null
  return `“${bundle.name}” is suspended: ${what}. Resume it, or discard its suspended state, first.`
}
