/** The machines, kept by `machines.changed`: every event carries the machine, nothing is asked again. */
import { SvelteMap } from 'svelte/reactivity'
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import type { MachineChange, MachineView } from '../../src-shared/api/machines.ts'
import { asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import { isActive } from '../../src-shared/model/machine-state.ts'
import type { Host } from '../client/host.ts'
import { compareNames, folderKey } from './names.ts'

export class Library {
  #host: Host
  #machines = new SvelteMap<string, MachineView>()
  #listening: Disposable
  #failed = new Emitter<MachineView>()

  /** Something went wrong with a machine (`lastError`), whoever had asked for it. */
  readonly onFailed = this.#failed.event

  /** False until the list came once. */
  loaded = $state(false)
  loadError = $state.raw<WireError | null>(null)
  /** What the last action on a machine failed with, by machine; cleared by its next action. */
  readonly actionErrors = new SvelteMap<string, WireError>()

  readonly all = $derived([...this.#machines.values()].sort((a, b) => compareNames(a.name, b.name) || (a.id < b.id ? -1 : 1)))
  readonly anyActive = $derived(this.all.some((machine) => isActive(machine.state)))
  /** Every folder in use, with its ancestors, as joined paths. */
  readonly folders = $derived(foldersOf(this.all))
  readonly tags = $derived([...new Set(this.all.flatMap((machine) => machine.config?.tags ?? []))].sort(compareNames))

  constructor(host: Host) {
    this.#host = host
    this.#listening = host.machines.changed((change) => this.apply(change))
  }

  get size(): number {
    return this.#machines.size
  }

  get(id: string): MachineView | undefined {
    return this.#machines.get(id)
  }

  /** Reads the whole list: at the start and after a lost connection. */
  async load(): Promise<void> {
    try {
      const list = await this.#host.machines.list({})
      const present = new Set(list.map((machine) => machine.id))
      for (const id of [...this.#machines.keys()]) if (!present.has(id)) this.#machines.delete(id)
      for (const machine of list) this.#machines.set(machine.id, machine)
      this.loadError = null
      this.loaded = true
    } catch (error) {
      this.loadError = asAppError(error, 'Reading the library').toWire()
    }
  }

  apply(change: MachineChange): void {
    if (change.kind === 'put') {
      const { machine } = change
      const before = this.#machines.get(machine.id)?.lastError?.message
      this.#machines.set(machine.id, machine)
      if (machine.lastError && machine.lastError.message !== before) this.#failed.fire(machine)
    } else {
      this.#machines.delete(change.id)
      this.actionErrors.delete(change.id)
    }
  }

  dispose(): void {
    this.#listening.dispose()
    this.#failed.dispose()
  }
}

function foldersOf(machines: readonly MachineView[]): string[] {
  const keys = new Set<string>()
  for (const machine of machines) {
    const path = machine.config?.folder ?? []
    for (let depth = 1; depth <= path.length; depth++) keys.add(folderKey(path.slice(0, depth)))
  }
  return [...keys].sort(compareNames)
}
