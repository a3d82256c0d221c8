/**
 * Notes as they are typed, saved by themselves. Theory of operation: `base` is the text that the host had when the last word on it was
 * spoken; a save is sent only while the host still has `base`. Where somebody else changed it meanwhile (another window, the command
 * line), both texts are kept and the person decides. The draft outlives its tab, so a save that fails loses nothing.
 */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { asAppError, type WireError } from '../../../../src-shared/errors/app-error.ts'
import { MAX_NOTES } from '../../../../src-shared/model/machine.ts'
import type { Host } from '../../../client/host.ts'

/** Rest after the last key before the notes are saved, ms. */
export const SAVE_AFTER = 800

export class NotesDraft implements Disposable {
  #host: Host
  readonly id: string
  #base = $state('')
  text = $state('')
  /** What the host has instead of `base`; null while nobody else wrote. */
  theirs = $state<string | null>(null)
  saving = $state(false)
  error = $state.raw<WireError | null>(null)
  #timer: ReturnType<typeof setTimeout> | undefined
  #heardWhileSaving: string | null = null

  // Getters, not deriveds: a derived would end with the component that made the draft.
  get dirty(): boolean {
    return this.text !== this.#base
  }
  get tooLong(): boolean {
    return this.text.length > MAX_NOTES
  }

  constructor(host: Host, id: string, notes: string) {
    this.#host = host
    this.id = id
    this.#base = notes
    this.text = notes
  }

  /** The host's text, whenever it tells the machine. */
  heard(notes: string): void {
    if (this.saving) {
      this.#heardWhileSaving = notes
      return
    }
    if (notes === this.#base) return
    if (!this.dirty || notes === this.text) {
      this.#base = notes
      this.text = notes
      this.theirs = null
    } else {
      this.theirs = notes
      clearTimeout(this.#timer)
    }
  }

  typed(): void {
    clearTimeout(this.#timer)
    if (this.theirs === null) this.#timer = setTimeout(() => void this.save(), SAVE_AFTER)
  }

  /** The person decided: this text, or theirs. */
  settle(choice: 'mine' | 'theirs'): void {
    if (this.theirs === null) return
    this.#base = this.theirs
    if (choice === 'theirs') this.text = this.theirs
    this.theirs = null
    void this.save()
  }

  async save(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.saving || !this.dirty || this.tooLong || this.theirs !== null) return
    this.saving = true
    this.error = null
    this.#heardWhileSaving = null
    const sent = this.text
    try {
      await this.#host.machines.update({ id: this.id, patch: { notes: sent } })
      this.#base = sent
    } catch (error) {
      this.error = asAppError(error, 'Saving the notes').toWire()
      return
    } finally {
      this.saving = false
    }
    // Our own text, or somebody else's that came right after it.
    if (this.#heardWhileSaving !== null) this.heard(this.#heardWhileSaving)
    // What was typed while the save was under way.
    if (this.dirty) this.typed()
  }

  dispose(): void {
    clearTimeout(this.#timer)
  }
}

/** The notes being written, of all machines. */
export class NotesDrafts implements Disposable {
  #host: Host
  #drafts = new Map<string, NotesDraft>()

  constructor(host: Host) {
    this.#host = host
  }

  of(id: string, notes: string): NotesDraft {
    let draft = this.#drafts.get(id)
    if (!draft) this.#drafts.set(id, (draft = new NotesDraft(this.#host, id, notes)))
    return draft
  }

  /** Nobody looks: saves what is not saved yet, and forgets what is. */
  async leave(draft: NotesDraft): Promise<void> {
    await draft.save()
    if (!draft.dirty && this.#drafts.get(draft.id) === draft) this.#drafts.delete(draft.id)
  }

  get anyDirty(): boolean {
    return [...this.#drafts.values()].some((draft) => draft.dirty)
  }

  dispose(): void {
    for (const draft of this.#drafts.values()) draft.dispose()
    this.#drafts.clear()
  }
}
