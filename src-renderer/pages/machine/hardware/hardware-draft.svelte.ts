/** Unsaved changes to machines' hardware. They outlive the tab: going somewhere else and coming back finds them as they were. */
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { asAppError, type WireError } from '../../../../src-shared/errors/app-error.ts'
import type { HardwareVerdict } from '../../../../src-shared/model/hardware-verdict.ts'
import type { MachineConfig, MachinePatch } from '../../../../src-shared/model/machine.ts'
import type { Host } from '../../../client/host.ts'
import { deviceOfField, formErrors, formOf, patchOf, takenAway, type DeviceKey, type HardwareForm } from './hardware-form.ts'

export class HardwareDraft {
  #host: Host
  readonly id: string
  #base = $state.raw<MachineConfig>()!
  form = $state<HardwareForm>()!
  /** Errors of a new, empty field wait until somebody leaves it or saves. */
  #touched = $state.raw<ReadonlySet<string>>(new Set())
  #all = $state(false)
  #refused = $state.raw<Record<string, string>>({})
  /** What the host said that belongs to no field. */
  general = $state.raw<WireError | null>(null)
  saving = $state(false)
  /** What the host says of the hardware as it stands here; null before it did. */
  verdict = $state.raw<HardwareVerdict | null>(null)
  #judgements = 0

  // Getters, not deriveds: a derived would end with the component that made the draft.
  get patch(): MachinePatch {
    return patchOf(this.form, this.#base)
  }
  get dirty(): boolean {
    return Object.keys(this.patch).length > 0
  }
  /** What is said at the fields now, by path. */
  get errors(): Record<string, string> {
    const shown = Object.entries(formErrors(this.form, this.#base)).filter(([path]) => this.#all || this.#touched.has(path))
    const judged = (this.verdict?.problems ?? []).map(({ path, message }) => [path, message])
    return { ...Object.fromEntries(judged), ...this.#refused, ...Object.fromEntries(shown) }
  }

  constructor(host: Host, id: string, config: MachineConfig) {
    this.#host = host
    this.id = id
    this.#base = config
    this.form = formOf(config)
  }

  /** The config changed elsewhere: what was not touched here follows it, what was stays. */
  rebase(config: MachineConfig): void {
    if (config === this.#base) return
    const mine = this.patch
    this.#base = config
    if (!this.saving) this.form = formOf({ ...config, ...mine } as MachineConfig)
  }

  /** Somebody typed into a field. */
  touch(path: string): void {
    this.#touched = new Set([...this.#touched, path])
    if (path in this.#refused) {
      const { [path]: _gone, ...rest } = this.#refused
      this.#refused = rest
    }
  }

  /** Asks the host what would run it so, and why not. What is wrong by itself says so before. */
  async judge(): Promise<void> {
    if (Object.keys(formErrors(this.form, this.#base)).length > 0) return
    const mine = ++this.#judgements
    try {
      const verdict = await this.#host.machines.consider({ id: this.id, patch: this.patch })
      if (mine === this.#judgements) this.verdict = verdict
    } catch {
      // Saving says what is wrong.
    }
  }

  /** Devices came or went: what the host said names them by position. */
  reordered(): void {
    this.#refused = {}
    this.#touched = new Set()
    // Its problems name devices by position too.
    this.verdict = null
  }

  revert(): void {
    this.form = formOf(this.#base)
    this.#clean()
  }

  #clean(): void {
    this.#touched = new Set()
    this.#all = false
    this.#refused = {}
    this.general = null
  }

  /** What a guest that runs loses when this is saved. */
  get takenAway(): string[] {
    return takenAway(this.form, this.#base)
  }

  /** Whether a drive or a network card was added here and is not saved yet. */
  isNew(id: string): boolean {
    return ![...this.#base.drives, ...this.#base.nics].some((device) => device.id === id)
  }

  /**
   * @param signal ends the waiting for a guest that does not let go of a device
   * @returns the first device that is wrong where it could not be saved, else null
   */
  async save(signal?: AbortSignal): Promise<DeviceKey | null> {
    this.general = null
    this.#all = true
    const found = formErrors(this.form, this.#base)
    const firstWrong = Object.keys(found)[0]
    if (firstWrong !== undefined) {
      const device = deviceOfField(firstWrong, this.form)
      // A wrong field that this form does not show (it came from elsewhere) must still be told.
      if (device === null) this.general = { code: 'invalid-input', message: found[firstWrong]! }
      return device
    }
    this.saving = true
    try {
      const machine = await this.#host.machines.update({ id: this.id, patch: this.patch }, signal ? { signal } : {})
      if (machine.config) {
        this.#base = machine.config
        this.form = formOf(machine.config)
      }
      this.#clean()
      return null
    } catch (error) {
      return this.#refuse(asAppError(error, 'Saving the hardware').toWire())
    } finally {
      this.saving = false
    }
  }

  #refuse(error: WireError): DeviceKey | null {
    if (error.code === 'cancelled') return null
    const fields = (error.details?.fields ?? []).map(({ path, message }) => ({ path: path.replace(/^patch\./, ''), message }))
    const known = fields.filter(({ path }) => deviceOfField(path, this.form) !== null)
    this.#refused = Object.fromEntries(known.map(({ path, message }) => [path, message]))
    if (known.length === 0 || known.length < fields.length) this.general = error
    return known[0] ? deviceOfField(known[0].path, this.form) : null
  }
}

/** The drafts of all machines. */
export class HardwareDrafts implements Disposable {
  #host: Host
  #drafts = new Map<string, HardwareDraft>()

  constructor(host: Host) {
    this.#host = host
  }

  /** The machine's draft, made from its config where there is none. */
  of(machine: MachineView & { config: MachineConfig }): HardwareDraft {
    let draft = this.#drafts.get(machine.id)
    if (!draft) {
      draft = new HardwareDraft(this.#host, machine.id, machine.config)
      this.#drafts.set(machine.id, draft)
    }
    return draft
  }

  /** Forgets a draft that holds nothing of its own. */
  leave(draft: HardwareDraft): void {
    if (!draft.dirty && !draft.saving) this.#drafts.delete(draft.id)
  }

  get anyDirty(): boolean {
    return [...this.#drafts.values()].some((draft) => draft.dirty)
  }

  dispose(): void {
    this.#drafts.clear()
  }
}
