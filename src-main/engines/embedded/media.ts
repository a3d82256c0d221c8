/**
 * What is in v86's CD and floppy drives while the machine runs. Its drives are all there from the start, filled or empty. A CD that the guest
 * ejects is gone from its drive without a word, so that the drive is looked at between two turns.
 */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { LiveChange } from '../../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { BlockClient } from '../engine.ts'
import type { BlockDisk } from './block-disk.ts'
import { FloppyDisk } from './floppy-disk.ts'
import { diskOf, openImage, type OpenDrive } from './open-drive.ts'
import type { Cpu } from './v86.ts'

export class Media {
  #cpu: Cpu
  #drives: Map<string, OpenDrive>
  #counters: Counters

  /** @param drives by id; what is in them changes here */
  constructor(cpu: Cpu, drives: Map<string, OpenDrive>, counters: Counters) {
    this.#cpu = cpu
    this.#drives = drives
    this.#counters = counters
  }

  /** @throws AppError; what was in the drive then still is */
  async insert(spec: MachineSpec, { drive }: LiveChange & { kind: 'insert' }, blocks: BlockClient | null): Promise<void> {
    const { kind } = this.#find(spec, drive)
    if (!blocks) throw new AppError('internal', `Drive ${drive} came without its block port.`)
    const image = await openImage({ id: drive, kind }, blocks, this.#counters)
    const place = this.#drives.get(drive)!
    await this.#settle(place)
    const before = place.image
    this.#takeOut(place)
    if (this.#putIn(place, image)) return
    if (before) this.#putIn(place, before)
    throw new AppError('unsupported', `A floppy of ${image.byteLength} bytes does not fit this drive.`, { subject: drive })
  }

  async eject(spec: MachineSpec, drive: string): Promise<void> {
    this.#find(spec, drive)
    const place = this.#drives.get(drive)!
    await this.#settle(place)
    this.#takeOut(place)
  }

  /** The CD drive that the guest emptied since this was asked last; null: none. */
  ejectedByGuest(): string | null {
    if (this.#cpu.devices.cdrom.buffer !== null) return null
    for (const [id, place] of this.#drives) {
      if (place.slot !== 'cdrom' || place.image === null) continue
      place.image = null
      return id
    }
    return null
  }

  #find({ drives }: MachineSpec, drive: string): MachineSpec['drives'][number] {
    const found = drives.find(({ id, kind }) => id === drive && kind !== 'disk')
    if (!found) throw new AppError('not-found', `The machine has no CD or floppy drive “${drive}”.`, { subject: drive })
    return found
  }

  /** What was asked of the image is done and written. */
  async #settle({ image }: OpenDrive): Promise<void> {
    if (!image) return
    await diskOf(image).idle()
    await diskOf(image).flushed()
  }

  #takeOut(place: OpenDrive): void {
    place.image = null
    if (place.slot === 'cdrom') this.#cpu.devices.cdrom.eject()
    else this.#floppy(place).eject_disk()
  }

  /** False: it does not fit. */
  #putIn(place: OpenDrive, image: BlockDisk | FloppyDisk): boolean {
    if (!(image instanceof FloppyDisk)) this.#cpu.devices.cdrom.set_cdrom(image)
    else if (!this.#floppy(place).insert_disk(image, image.readOnly)) return false
    place.image = image
    return true
  }

  #floppy({ slot }: OpenDrive): Cpu['devices']['fdc']['drives'][number] {
    return this.#cpu.devices.fdc.drives[slot === 'fda' ? 0 : 1]!
  }
}
