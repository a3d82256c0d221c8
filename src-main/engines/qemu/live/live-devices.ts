/**
 * Changes of a QEMU machine's hardware while it runs. Theory of operation: adding is QEMU's work alone and is done when it answers; what fails on
 * the way is taken back. Removing is the guest's: QEMU asks it (ACPI, or the port's attention button), and tells with DEVICE_DELETED when
 * the guest has let go; it may do so late, or of its own. CDs have a tray, which the guest may have locked and may open. So QEMU's events move
 * the spec here, whoever caused them, and each change of it goes to the machine's record, from which a later host takes it over.
 * Source: QEMU QMP Reference Manual (block devices, device hot-plug, network, balloon, CPU hot-plug).
 */
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { toDisposable } from '../../../../src-shared/base/disposable.ts'
import { Turns } from '../../../../src-shared/base/turns.ts'
import { MiB } from '../../../../src-shared/base/units.ts'
import { changedSpec, placesOf, type LiveChange } from '../../../../src-shared/model/live-change.ts'
import { HOT_DISKS, MAX_NICS } from '../../../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'
import { boardOf, type Board } from '../arguments/board.ts'
import { nicBackend, nicDevice } from '../arguments/channels.ts'
import { diskDevice, diskGroup, diskImage, diskNodes, throttleLimits } from '../arguments/drives.ts'
import { pointerDevice } from '../arguments/screen.ts'
import { nicEndpoint, type Instance } from '../supervise/launch.ts'
import { writeRecord } from '../supervise/machine-folder.ts'
import { deviceOf } from '../qmp/device-of.ts'
import type { QmpEvent } from '../qmp/messages.ts'
import { cannotUse, undoing } from './failures.ts'
import { guestDoes } from './guest-wait.ts'
import { Media } from './media.ts'
import { endJob, mergeLayers, type MergeOrder } from './merge-layers.ts'

/** ms that a guest gets to let go of a device. */
export const RELEASE_PATIENCE = 15_000
/** ms in which a guest that has a balloon driver begins to move. */
const BALLOON_PATIENCE = 5000

export interface LiveListener {
  running(): boolean
  changed(spec: MachineSpec, leaving: string[]): void
}

export class LiveDevices {
  #instance: Instance
  #board: Board
  #listener: LiveListener
  #media: Media
  /** Of devices that were asked for: told when the guest answers. */
  #waiting = new Map<string, (released: boolean) => void>()
  #leaving = new Set<string>()
  /** Network cards whose cable is pulled, whatever the spec says. */
  #cut = new Set<string>()
  #turns = new Turns()

  constructor(instance: Instance, listener: LiveListener) {
    this.#instance = instance
    this.#board = boardOf(instance.record.spec.qemu!)
    this.#listener = listener
    this.#media = new Media(instance.qmp, () => listener.running())
    instance.qmp.onEvent((event) => this.#onQmp(event))
  }

  get #spec(): MachineSpec {
    return this.#instance.record.spec
  }

  /** @throws AppError as the engine's contract says */
  change(change: LiveChange, signal: AbortSignal): Promise<void> {
    return this.#turns.run(async () => {
      if (signal.aborted) throw AppError.cancelled()
      const exact = this.#withPlace(change)
      await this.#perform(exact, signal)
      await this.#note(changedSpec(this.#spec, exact))
    })
  }

  cutLink(id: string, cut: boolean): Promise<void> {
    return this.#turns.run(async () => {
      const { linkUp } = this.#nic(id)
      await this.#instance.qmp.execute('set_link', { name: id, up: linkUp === true && !cut })
      if (cut) this.#cut.add(id)
      else this.#cut.delete(id)
    })
  }

  /** What the guest did while nobody listened. */
  catchUp(): Promise<void> {
    return this.#turns.run(async () => {
      const { qmp } = this.#instance
      await endJob(qmp)
      const there = new Set((await qmp.execute('qom-list', { path: '/machine/peripheral' })).map(({ name }) => name))
      for (const { id, kind } of this.#spec.drives) if (kind === 'disk' && !there.has(id)) await this.#gone(id)
      for (const { id } of this.#spec.nics) if (!there.has(id)) await this.#gone(id)
      for (const drive of await this.#media.opened()) await this.#ejected(drive)
    })
  }

  /**
   * Disks go on in other files, all at one moment, which rest on what they have. The machine stands still.
   * @throws AppError why they do not; all are as they were then
   */
  goOnIn(disks: readonly { drive: string; path: string }[]): Promise<void> {
    if (disks.length === 0) return Promise.resolve()
    return this.#turns.run(async () => {
      const { qmp } = this.#instance
      const before = this.#spec
      const paths = new Map(disks.map(({ drive, path }) => [drive, path]))
      const drives = before.drives.map((drive) => {
        const path = paths.get(drive.id)
        return path === undefined ? drive : { ...drive, path, format: 'qcow2' as const }
      })
      await undoing(async (undo) => {
        const actions: { type: 'blockdev-snapshot'; data: { node: string; overlay: string } }[] = []
        for (const { drive: id, path } of disks) {
          const [node, overlay] = [(await this.#imageNodes(id))[0]!, await this.#nextNode(id)]
          const { image } = diskNodes({ ...this.#drive(id, ['disk']), path, format: 'qcow2' })
          await qmp.execute('blockdev-add', { ...image, 'node-name': overlay, ...{ backing: null } }).catch(cannotUse(path))
          undo(() => qmp.execute('blockdev-del', { 'node-name': overlay }))
          actions.push({ type: 'blockdev-snapshot', data: { node, overlay } })
        }
        // A host that comes later must not take the files of before for those that are written; those of now are as good from here on.
        await this.#note({ ...before, drives })
        undo(() => this.#note(before))
        await qmp.execute('transaction', { actions })
      })
    })
  }

  /** @throws AppError as merge-layers.ts says */
  merge(order: MergeOrder, signal: AbortSignal, onProgress: (done: number, total: number) => void): Promise<void> {
    return this.#turns.run(() => mergeLayers(this.#instance.qmp, order, signal, onProgress))
  }

  /** Resolves when what was asked for before has ended, also where nobody waits for it any more. */
  settled(): Promise<void> {
    return this.#turns.run(() => {})
  }

  /** The nodes of a disk's image and of what it rested on since the machine began; the one that is written first. */
  async #imageNodes(id: string): Promise<string[]> {
    const first = diskImage(id)
    const nodes = await this.#instance.qmp.execute('query-named-block-nodes', { flat: true })
    return nodes
      .flatMap(({ 'node-name': name }) =>
        name === first || (name.startsWith(first) && /^[0-9]+$/.test(name.slice(first.length))) ? [name] : [],
      )
      .sort((a, b) => Number(b.slice(first.length)) - Number(a.slice(first.length)))
  }

  async #nextNode(id: string): Promise<string> {
    const first = diskImage(id)
    const [top] = await this.#imageNodes(id)
    return `${first}${Number(top?.slice(first.length) ?? 0) + 1}`
  }

  #perform(change: LiveChange, signal: AbortSignal): Promise<void> {
    const { qmp } = this.#instance
    switch (change.kind) {
      case 'insert':
        return this.#media.insert(this.#drive(change.drive, ['cdrom', 'floppy']).id, { ...change, format: 'raw' })
      case 'eject':
        return this.#media.eject(this.#drive(change.drive, ['cdrom', 'floppy']).id)
      case 'addDisk':
        return this.#addDisk(change.drive)
      case 'removeDisk':
        return this.#remove(this.#drive(change.drive, ['disk']).id, 'disk', signal)
      case 'limits':
        return qmp.execute('qom-set', {
          path: `/objects/${diskGroup(this.#drive(change.drive, ['disk']).id)}`,
          property: 'limits',
          value: throttleLimits(change),
        })
      case 'growDisk':
        return qmp.execute('block_resize', { 'node-name': this.#drive(change.drive, ['disk']).id, size: change.bytes }).then(() => {})
      case 'addNic':
        return this.#addNic(change.nic)
      case 'removeNic':
        return this.#remove(this.#nic(change.nic).id, 'network card', signal)
      case 'link':
        return qmp.execute('set_link', { name: this.#nic(change.nic).id, up: change.up && !this.#cut.has(change.nic) })
      case 'memory':
        return this.#balloon(change.memoryMiB, signal)
      case 'cpus':
        return this.#addCpus(change.cpus)
      case 'pointer':
        return this.#point(change.pointer)
    }
  }

  async #addDisk(drive: MachineSpec['drives'][number]): Promise<void> {
    const { qmp } = this.#instance
    const { path } = drive
    if (path === null) throw new AppError('invalid-input', 'A disk needs an image file.', { subject: drive.id })
    const { group, image, device } = diskNodes({ ...drive, path })
    await undoing(async (undo) => {
      await qmp.execute('object-add', group)
      undo(() => qmp.execute('object-del', { id: group.id }))
      await qmp.execute('blockdev-add', image).catch(cannotUse(path))
      undo(() => qmp.execute('blockdev-del', { 'node-name': image['node-name'] }))
      await qmp.execute('blockdev-add', device)
      undo(() => qmp.execute('blockdev-del', { 'node-name': device['node-name'] }))
      await qmp.execute('device_add', diskDevice({ ...drive, place: drive.place! }, this.#spec.qemu!, this.#board)).catch(cannotUse(path))
    })
  }

  async #addNic(nic: Extract<LiveChange, { kind: 'addNic' }>['nic']): Promise<void> {
    const { qmp, folder, record } = this.#instance
    const endpoint = await nicEndpoint(folder, nic.place!)
    const addr =
      endpoint.kind === 'unix'
        ? ({ type: 'unix', path: endpoint.path } as const)
        : ({ type: 'inet', host: '127.0.0.1', port: String(endpoint.port) } as const)
    await undoing(async (undo) => {
      await qmp.execute('netdev_add', { type: 'stream', id: nicBackend(nic.id), server: true, addr })
      undo(() => qmp.execute('netdev_del', { id: nicBackend(nic.id) }))
      await qmp.execute('device_add', nicDevice({ ...nic, place: nic.place! }, this.#board))
      // A guest has not looked at it yet.
      await qmp.execute('set_link', { name: nic.id, up: nic.linkUp === true })
    })
    record.runtime.nics[nic.id] = endpoint
  }

  /** Resolves when the guest has let go of it and nothing of it is left. */
  async #remove(id: string, what: string, signal: AbortSignal): Promise<void> {
    const { qmp } = this.#instance
    try {
      const released = await guestDoes<boolean>({
        ...{ qmp, patience: RELEASE_PATIENCE, late: () => notReleased(id, what), signal },
        listen: (answer) => {
          this.#waiting.set(id, answer)
          return toDisposable(() => this.#waiting.delete(id))
        },
        ask: () =>
          qmp.execute('device_del', { id }).catch((error: unknown) => {
            // Asked for before, and not answered yet.
            if (!(error instanceof AppError) || !/in the process of unplug/.test(error.message)) throw error
          }),
      })
      if (!released) throw new AppError('denied', `The guest refused to let go of “${id}”. It is in use there.`, { subject: id })
      this.#leaving.delete(id)
      await this.#dropBackend(id)
    } catch (error) {
      const { code } = asAppError(error)
      if (code === 'timeout' || code === 'cancelled') {
        this.#leaving.add(id)
        this.#tell()
      }
      throw error
    }
  }

  /** What stood behind a device that is gone. */
  async #dropBackend(id: string): Promise<void> {
    const { qmp, record } = this.#instance
    if (this.#spec.nics.some((nic) => nic.id === id)) {
      await qmp.execute('netdev_del', { id: nicBackend(id) })
      this.#cut.delete(id)
      delete record.runtime.nics[id]
      return
    }
    for (const name of [id, ...(await this.#imageNodes(id))]) await qmp.execute('blockdev-del', { 'node-name': name })
    await qmp.execute('object-del', { id: diskGroup(id) })
  }

  async #balloon(memoryMiB: number, signal: AbortSignal): Promise<void> {
    const { qmp } = this.#instance
    const target = memoryMiB * MiB
    const { actual } = await qmp.execute('query-balloon')
    if (actual <= target) return qmp.execute('balloon', { value: target })
    // A guest without a driver never moves, and would be told to have less than it goes on using.
    await guestDoes<void>({
      ...{ qmp, patience: BALLOON_PATIENCE, late: noBalloon, signal },
      listen: (moved) => qmp.onEvent(({ name }) => name === 'BALLOON_CHANGE' && moved()),
      ask: () => qmp.execute('balloon', { value: target }),
    }).catch(async (error: unknown) => {
      await qmp.execute('balloon', { value: actual }).catch(() => {})
      throw error
    })
  }

  async #addCpus(cpus: number): Promise<void> {
    const { qmp } = this.#instance
    const room = await qmp.execute('query-hotpluggable-cpus')
    const there = room.filter((one) => one['qom-path'] !== undefined).length
    const free = room
      .filter((one) => one['qom-path'] === undefined)
      .sort((a, b) => (a.props['core-id'] ?? 0) - (b.props['core-id'] ?? 0))
      .slice(0, Math.max(0, cpus - there))
    if (there + free.length < cpus)
      throw new AppError('unsupported', `The machine has room for ${there + free.length} processors, not for ${cpus}.`)
    for (const [at, { type, props }] of free.entries()) {
      await qmp.execute('device_add', { driver: type, id: `cpu_${there + at}`, ...props })
      // Each stays, whatever becomes of the next.
      await this.#note({ ...this.#spec, cpus: there + at + 1 })
    }
  }

  async #point(pointer: 'tablet' | 'mouse'): Promise<void> {
    const { qmp } = this.#instance
    const before = pointerDevice(this.#spec.pointer ?? 'tablet', this.#board)
    const after = pointerDevice(pointer, this.#board)
    if (before?.id === after?.id) return
    if (after) await qmp.execute('device_add', after)
    // USB: it is gone at once.
    if (before) await qmp.execute('device_del', { id: before.id })
  }

  #onQmp({ name, data }: QmpEvent): void {
    // A virtio device's inner half is told apart, without an id.
    const device = deviceOf(data['device'])
    switch (name) {
      case 'DEVICE_DELETED':
        if (this.#waiting.has(device)) this.#waiting.get(device)!(true)
        else if (this.#has(device)) this.#onItsOwn(() => this.#gone(device))
        break
      case 'DEVICE_UNPLUG_GUEST_ERROR':
        this.#waiting.get(device)?.(false)
        break
      case 'DEVICE_TRAY_MOVED':
        if (data['tray-open'] === true && !this.#media.isBusy(deviceOf(data['id'])))
          this.#onItsOwn(() => this.#ejected(deviceOf(data['id'])))
        break
      default:
    }
  }

  /** The guest let go of it late, or of its own. */
  async #gone(id: string): Promise<void> {
    if (!this.#has(id)) return
    this.#leaving.delete(id)
    const isNic = this.#spec.nics.some((nic) => nic.id === id)
    await this.#dropBackend(id).catch((error: unknown) => console.error(`Giving back “${id}”: ${asAppError(error).message}`))
    await this.#note(changedSpec(this.#spec, isNic ? { kind: 'removeNic', nic: id } : { kind: 'removeDisk', drive: id }))
  }

  /** The guest opened the tray: what was in it is out. */
  async #ejected(drive: string): Promise<void> {
    if (!this.#spec.drives.some(({ id, inserted }) => id === drive && inserted)) return
    await this.#media.takeOut(drive)
    await this.#note(changedSpec(this.#spec, { kind: 'eject', drive }))
  }

  async #note(spec: MachineSpec): Promise<void> {
    const { folder, record } = this.#instance
    record.spec = spec
    this.#tell()
    await writeRecord(folder, record)
  }

  #tell(): void {
    this.#listener.changed(this.#spec, [...this.#leaving])
  }

  #onItsOwn(work: () => Promise<void>): void {
    void this.#turns.run(work).catch((error: unknown) => console.error(`Following a guest’s hardware: ${asAppError(error).message}`))
  }

  #has(id: string): boolean {
    return this.#spec.nics.some((nic) => nic.id === id) || this.#spec.drives.some((drive) => drive.id === id && drive.kind === 'disk')
  }

  #drive(id: string, kinds: readonly string[]): MachineSpec['drives'][number] {
    const found = this.#spec.drives.find((drive) => drive.id === id && kinds.includes(drive.kind))
    if (found) return found
    throw new AppError('not-found', `The machine has no ${kinds[0] === 'disk' ? 'disk' : 'CD or floppy drive'} “${id}”.`, { subject: id })
  }

  #nic(id: string): MachineSpec['nics'][number] {
    const found = this.#spec.nics.find((nic) => nic.id === id)
    if (found) return found
    throw new AppError('not-found', `The machine has no network card “${id}”.`, { subject: id })
  }

  #refuseTwice(id: string): void {
    const { drives, nics } = this.#spec
    if ([...drives, ...nics].some((one) => one.id === id))
      throw new AppError('already-exists', `The machine has a device “${id}” already. Choose another id.`, { subject: id })
  }

  /** What comes goes where it says, or to the first free place. */
  #withPlace(change: LiveChange): LiveChange {
    const { drives, nics } = this.#spec
    if (change.kind === 'addDisk')
      return { ...change, drive: { ...change.drive, place: this.#placeFor(change.drive, placesOf(drives, 'disk'), HOT_DISKS) } }
    if (change.kind === 'addNic') return { ...change, nic: { ...change.nic, place: this.#placeFor(change.nic, placesOf(nics), MAX_NICS) } }
    return change
  }

  #placeFor({ id, place }: { id: string; place?: number | undefined }, taken: readonly number[], places: number): number {
    this.#refuseTwice(id)
    const at = place ?? Array.from({ length: places }, (_, one) => one).find((one) => !taken.includes(one))
    if (at !== undefined && !taken.includes(at)) return at
    throw new AppError('unsupported', `The machine has no room for “${id}”: it takes ${places} of its kind.`, { subject: id })
  }
}

function notReleased(id: string, what: string): AppError {
  const how = what === 'disk' ? 'Unmount it there' : 'Bring its interface down there'
  return new AppError(
    'timeout',
    `The guest has not released the ${what} “${id}” within ${RELEASE_PATIENCE / 1000} s. ${how}, then remove it again; a guest that has not booted, or that knows no hot-plugging, lets go when it is off.`,
    { subject: id },
  )
}

function noBalloon(): AppError {
  return new AppError(
    'timeout',
    'The guest does not give memory back: it has no driver for the balloon, or has not booted. Install its virtio balloon driver, or change the memory while the machine is off.',
    { fields: [{ path: 'memoryMiB', message: 'The guest does not give memory back.' }] },
  )
}
