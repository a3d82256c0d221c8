/** The `disks` service: the disks of machines. */
import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import type { disks } from '../../../src-shared/api/disks.ts'
import type { MachineView } from '../../../src-shared/api/machines.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { Drive, MachineConfig, MachinePatch } from '../../../src-shared/model/machine.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import { isActive } from '../../../src-shared/model/machine-state.ts'
import { bundlePaths, refuseLinks } from '../library/bundle.ts'
import { mapLimit } from '../library/map-limit.ts'
import type { Log } from '../log/log.ts'
import type { Machine } from '../machines/machine.ts'
import { drive } from '../machines/making/sketch-machine.ts'
import { wrongState } from '../machines/wrong-state.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { diskStates } from './disk-states.ts'
import { DisksInMaking, removeAbandoned } from './disks-in-making.ts'
import { freeId, removeDisks } from './make-disk.ts'

/** Machines that are looked at at once. */
const READERS = 16

export interface DiskServiceParts {
  storage: SharedThread
  log: Log
  machines(): Promise<readonly Machine[]>
  /** @throws AppError `not-found` */
  find(machine: string): Promise<Machine>
  /** As the `images` service does it. */
  resizeImage(image: { path: string; format: DiskFormat; folders: string[] }, size: number, shrink: boolean): Promise<{ size: number }>
  /** @throws AppError `wrong-state` where a drive, a snapshot or another image needs the file */
  refuseNeeded(path: string): Promise<void>
  /** As the `machines` service does it. */
  update(machine: string, patch: MachinePatch, signal: AbortSignal): Promise<MachineView>
}

type NewDisks = z.output<typeof disks.members.add.input>['disks']

export class DiskService {
  #parts: DiskServiceParts

  readonly handlers: Handlers<typeof disks> = {
    list: async ({ machine }) => {
      const found = await this.#parts.find(machine)
      return diskStates(found, configOf(found), this.#parts.storage)
    },
    resize: async ({ machine, drive, size, shrink }, { signal }) =>
      this.#resize(await this.#parts.find(machine), drive, size, shrink, signal),
    deleteImage: async ({ machine, path }) => this.#deleteImage(await this.#parts.find(machine), path),
    add: async ({ machine, disks: wished }, { signal }) => this.#add(await this.#parts.find(machine), wished, signal),
  }

  constructor(parts: DiskServiceParts) {
    this.#parts = parts
  }

  /** What earlier hosts made, and did not come to name, is removed. Never rejects. */
  async lookRound(): Promise<void> {
    await mapLimit(await this.#parts.machines(), READERS, async (machine) => {
      const { folder, name } = machine.bundle
      // Its guest may have been given one already.
      if (machine.session || isActive(machine.state)) return
      try {
        if (await removeAbandoned(folder, (path) => this.#parts.refuseNeeded(path)))
          this.#parts.log.info('machines', 'Removed what an interrupted making of a disk had left.', { machine: name })
      } catch (error) {
        this.#parts.log.info('machines', 'Left alone: disks that another Coppice may be making.', { machine: name, error })
      }
    })
  }

  async #add(machine: Machine, wished: NewDisks, signal: AbortSignal): Promise<MachineView> {
    if (!wished.some(({ source }) => source.kind === 'new')) return this.#name(machine, wished, null, signal)
    const making = await DisksInMaking.begin(machine.bundle.folder, this.#parts.storage)
    try {
      return await this.#name(machine, wished, making, signal)
    } finally {
      await making.end()
    }
  }

  /** The files are made first: a machine never names one that is not there. */
  async #name(machine: Machine, wished: NewDisks, making: DisksInMaking | null, signal: AbortSignal): Promise<MachineView> {
    const { id } = machine
    const { folder } = machine.bundle
    const config = configOf(machine)
    const made: string[] = []
    const drives: Drive[] = [...config.drives]
    try {
      for (const { source, use } of wished) {
        if (signal.aborted) throw AppError.cancelled()
        const diskId = freeId('disk', drives)
        const isNew = source.kind === 'new'
        const path = isNew ? await making!.make(diskId, source.bytes) : source.path
        if (isNew) made.push(path)
        drives.push({ ...drive(diskId, 'disk', path), format: isNew ? 'qcow2' : 'raw', ...use, readOnly: use.readOnly ?? false })
      }
      return await this.#parts.update(id, { drives }, signal)
    } catch (error) {
      await this.#removeUnused(id, folder, made)
      throw error
    }
  }

  async #resize(machine: Machine, id: string, size: number, shrink: boolean, signal: AbortSignal): Promise<{ size: number }> {
    const disk = (await diskStates(machine, configOf(machine), this.#parts.storage)).find(({ drive }) => drive === id)
    if (!disk) throw new AppError('not-found', `“${machine.bundle.name}” has no disk “${id}”.`, { subject: id })
    const { path, format, measure } = disk
    if (disk.problem) throw AppError.fromWire(disk.problem)
    const reason = disk.why[measure && size < measure.size ? 'shrink' : 'grow']
    if (reason !== null)
      throw new AppError('wrong-state', `The disk “${id}” of “${machine.bundle.name}” keeps its size: ${reason}`, { subject: id })
    if (!machine.session) return this.#parts.resizeImage({ path, format, folders: [] }, size, shrink)
    const { session } = machine
    if (measure && size > measure.size)
      await machine.hold('having a disk enlarged', () => session.change({ kind: 'growDisk', drive: id, bytes: size }, null, signal))
    return { size }
  }

  async #deleteImage(machine: Machine, path: string): Promise<void> {
    await machine.hold('having the image of a disk deleted', async () => {
      const { folder } = machine.bundle
      const file = join(folder, path)
      await refuseLinks([bundlePaths(folder).disks, file])
      const stats = await lstat(file).catch(() => null)
      if (!stats?.isFile()) throw new AppError('not-found', `“${file}” is not there, or no file.`, { subject: file })
      if (machine.session?.spec?.drives.some((one) => one.path === file))
        throw new AppError('wrong-state', `“${file}” is a disk of “${machine.bundle.name}”, which runs.`, { subject: file })
      await this.#parts.refuseNeeded(file)
      await rm(file).catch((error: unknown) => {
        throw asAppError(error, 'Deleting the image')
      })
    })
  }

  /** An update that failed late may have been kept all the same. */
  async #removeUnused(id: string, folder: string, made: readonly string[]): Promise<void> {
    const machine = await this.#parts.find(id).catch(() => null)
    const drives = machine?.session?.spec?.drives ?? []
    const named = new Set([...(machine?.bundle.config?.drives ?? []), ...drives].map(({ path }) => path))
    await removeDisks(
      folder,
      made.filter((path) => ![...named].some((one) => one === path || one?.endsWith(`/${path}`))),
    )
  }
}

function configOf({ bundle }: Machine): MachineConfig {
  if (bundle.config) return bundle.config
  throw bundle.problem ?? wrongState('edit', bundle.name, 'broken')
}
