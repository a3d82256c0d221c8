/**
 * What is in CD and floppy drives, while the machine runs. A guest may have locked the tray of its CD drive: it is asked first, and gets the time
 * that opening takes; then the tray is opened anyway, as with a paper clip. CDs are read-only, so that nothing is lost by that.
 */
import { asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import { mediumNode } from '../arguments/drives.ts'
import type { QmpReturns } from '../qmp/commands.ts'
import { deviceOf } from '../qmp/device-of.ts'
import type { QmpClient } from '../qmp/qmp-client.ts'
import { cannotUse } from './failures.ts'

/** ms for a guest to open a tray that it has locked. */
const TRAY_PATIENCE = 2000

type Image = Pick<MachineSpec['drives'][number], 'readOnly' | 'format'> & { path: string }

export class Media {
  #qmp: QmpClient
  #running: () => boolean
  /** Those whose tray we are moving. */
  #busy = new Set<string>()

  constructor(qmp: QmpClient, running: () => boolean) {
    this.#qmp = qmp
    this.#running = running
  }

  isBusy(drive: string): boolean {
    return this.#busy.has(drive)
  }

  /** Drives whose tray is open with something in it. */
  async opened(): Promise<string[]> {
    const drives = await this.#qmp.execute('query-block')
    return drives.flatMap(({ qdev, tray_open: open, inserted }) => (open && inserted && qdev !== undefined ? [deviceOf(qdev)] : []))
  }

  /** Puts an image in, in place of what is there, which stays where that image cannot be used. */
  insert(drive: string, image: Image): Promise<void> {
    return this.#moving(drive, async () => {
      const node = newNode()
      await this.#qmp.execute('blockdev-add', mediumNode(node, image)).catch(cannotUse(image.path))
      const before = await this.#remove(drive)
      try {
        await this.#qmp.execute('blockdev-insert-medium', { id: drive, 'node-name': node })
      } catch (error) {
        await this.#drop(node)
        if (before !== null) await this.#qmp.execute('blockdev-insert-medium', { id: drive, 'node-name': before })
        await this.#close(drive)
        cannotUse(image.path)(error)
      }
      await this.#close(drive)
      if (before !== null) await this.#drop(before)
    })
  }

  eject(drive: string): Promise<void> {
    return this.#moving(drive, async () => {
      const before = await this.#remove(drive)
      await this.#close(drive)
      if (before !== null) await this.#drop(before)
    })
  }

  /** The tray is open: takes out what is in it, and leaves it open. */
  async takeOut(drive: string): Promise<void> {
    const { inserted } = await this.#look(drive)
    if (!inserted) return
    await this.#qmp.execute('blockdev-remove-medium', { id: drive })
    if (inserted['node-name'] !== undefined) await this.#drop(inserted['node-name'])
  }

  async #moving(drive: string, work: () => Promise<void>): Promise<void> {
    this.#busy.add(drive)
    try {
      await work()
    } finally {
      this.#busy.delete(drive)
    }
  }

  /** Opens the tray and takes out what is there. @returns its block node, which is left; null where it was empty */
  async #remove(drive: string): Promise<string | null> {
    const { locked, inserted } = await this.#look(drive)
    if (locked && this.#running()) await this.#ask(drive)
    await this.#qmp.execute('blockdev-open-tray', { id: drive, force: true })
    if (!inserted) return null
    await this.#qmp.execute('blockdev-remove-medium', { id: drive })
    return inserted['node-name'] ?? null
  }

  /** Resolves when the guest has opened the tray, or its time is over. */
  async #ask(drive: string): Promise<void> {
    const { promise: opened, resolve } = Promise.withResolvers<void>()
    const events = this.#qmp.onEvent(({ name, data }) => {
      if (name === 'DEVICE_TRAY_MOVED' && data['tray-open'] === true && deviceOf(data['id']) === drive) resolve()
    })
    const timer = setTimeout(resolve, TRAY_PATIENCE)
    try {
      await this.#qmp.execute('blockdev-open-tray', { id: drive, force: false })
      await opened
    } finally {
      clearTimeout(timer)
      events.dispose()
    }
  }

  #close(drive: string): Promise<void> {
    return this.#qmp.execute('blockdev-close-tray', { id: drive })
  }

  async #look(drive: string): Promise<QmpReturns<'query-block'>[number]> {
    const found = (await this.#qmp.execute('query-block')).find(({ qdev }) => deviceOf(qdev) === drive)
    return found ?? { locked: false }
  }

  /** An image that nothing reads any more: its file is given back. */
  async #drop(node: string): Promise<void> {
    await this.#qmp
      .execute('blockdev-del', { 'node-name': node })
      .catch((error: unknown) => console.error(`Closing an ejected image: ${asAppError(error).message}`))
  }
}

/** The underscore: no drive has it in its id. */
function newNode(): string {
  return `medium_${crypto.randomUUID().slice(0, 8)}`
}
