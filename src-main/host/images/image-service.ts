/** The `images` service: the storage thread's work on image files, and the machines' say in it. */
import { realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import type { z } from 'zod'
import type { images } from '../../../src-shared/api/images.ts'
import type { TaskResult, TaskStarted } from '../../../src-shared/api/tasks.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { isAbsolutePath } from '../../../src-shared/model/machine.ts'
import type { Client, Handlers } from '../../../src-shared/rpc/service.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import type { TaskContext, TaskService, TaskSpec } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { ImageHolders, type HoldingMachine, type ImageUse } from './image-holders.ts'
import { ImageNeeds, type ImageNeed, type NeedingMachine } from './image-needs.ts'
import { storageJob } from './storage-job.ts'

export interface ImageServiceParts {
  storage: Pick<SharedThread, 'use'>
  tasks: TaskService
  /** All that are known, once what runs from before is. */
  machines(): Promise<readonly HoldingMachine[]>
}

type Image = z.output<typeof images.members.info.input>

interface Work extends Pick<TaskSpec, 'kind' | 'title'> {
  uses: ImageUse[]
  doing: string
}

export class ImageService {
  #storage: ImageServiceParts['storage']
  #tasks: TaskService
  #holders: ImageHolders
  #needs: ImageNeeds

  readonly handlers: Handlers<typeof images> = {
    info: async (image, { signal }) => {
      await this.#holders.check([reads(image)])
      const known = await this.#known(image)
      return this.#call((storage) => storage.inspect(known, { signal }))
    },
    create: async ({ backing, ...image }) => {
      if (backing) await this.#holders.check([reads(backing)])
      const known = backing && (await this.#known(backing))
      return this.#call((storage) => storage.create({ ...image, backing: known }))
    },
    resize: ({ image, size, shrink }) => this.resize(image, size, shrink),
    convert: ({ from, to }) => {
      const title = `Converting “${basename(from.path)}” into “${basename(to.path)}”`
      const uses = [reads(from), ...(to.replace ? [writes(to)] : [])]
      return this.#start({ kind: 'convert-image', title, uses, doing: 'having a disk converted' }, async (context) => {
        if (to.replace) await this.#refuseBelow(to.path)
        const known = await this.#known(from)
        return storageJob(this.#storage, context, (storage, job, options) => storage.convert({ job, from: known, to }, options))
      })
    },
    compact: async (image) => {
      await this.#refuseBelow(image.path)
      const title = `Compacting “${basename(image.path)}”`
      return this.#start({ kind: 'compact-image', title, uses: [writes(image)], doing: 'having a disk compacted' }, async (context) => {
        const known = await this.#known(image)
        const room = await storageJob(this.#storage, context, (storage, job, options) => storage.compact({ job, image: known }, options))
        return { room }
      })
    },
    commit: async (image) => {
      const title = `Committing “${basename(image.path)}”`
      const known = await this.#known(image)
      const [into] = await this.#call((storage) => storage.restsOn({ path: known.path, format: known.format }))
      const uses = [writes(image), ...(into === undefined ? [] : [writes({ path: into })])]
      return this.#start({ kind: 'commit-image', title, uses, doing: 'having a disk committed' }, async (context) => {
        await this.#refuseBelow(image.path)
        if (into !== undefined) await this.#refuseNeeded(into, image.path)
        const done = await storageJob(this.#storage, context, (storage, job, options) => storage.commit({ job, image: known }, options))
        return { copied: done.bytes, into: done.into }
      })
    },
    rebase: async ({ image, backing, unsafe }) => {
      const title = `Rebasing “${basename(image.path)}”`
      const uses = [writes(image), ...(backing ? [reads(backing)] : [])]
      return this.#start({ kind: 'rebase-image', title, uses, doing: 'having a disk rebased' }, async (context) => {
        await this.#refuseBelow(image.path)
        const choice = { image: await this.#known(image), backing: backing && (await this.#known(backing)), unsafe }
        const { bytes } = await storageJob(this.#storage, context, (storage, job, options) => storage.rebase({ job, ...choice }, options))
        return { copied: bytes }
      })
    },
    check: ({ image, repair }) => {
      const title = `${repair ? 'Repairing' : 'Checking'} “${basename(image.path)}”`
      const uses = [repair ? writes(image) : reads(image)]
      const doing = repair ? 'having a disk repaired' : 'having a disk checked'
      return this.#start({ kind: 'check-image', title, uses, doing }, async (context) => {
        const known = await this.#known(image)
        const check = await storageJob(this.#storage, context, (storage, job, options) =>
          storage.check({ job, image: known, repair }, options),
        )
        return { check }
      })
    },
  }

  /** As `images.resize`. */
  async resize(image: Image, size: number, shrink: boolean): Promise<{ size: number }> {
    await this.#refuseBelow(image.path)
    return this.#holders.hold([writes(image)], 'having a disk resized', async () => {
      const known = await this.#known(image)
      return this.#call((storage) => storage.resize({ image: known, size, shrink }))
    })
  }

  constructor({ storage, tasks, machines }: ImageServiceParts) {
    this.#storage = storage
    this.#tasks = tasks
    this.#needs = new ImageNeeds({
      machines,
      restsOn: (image) => storage.use(({ rpc }) => rpc.service(storageThread).restsOn(image)),
    })
    this.#holders = new ImageHolders({
      machines,
      layersOf: (image) =>
        storage
          .use(({ rpc }) => rpc.service(storageThread).inspect({ ...image, folders: [] }))
          .then(
            ({ layers }) => layers.map(({ path }) => path),
            () => [],
          ),
    })
  }

  /** @throws AppError `wrong-state` where a machine, a snapshot or another image needs the file */
  async refuseNeededByAny(path: string): Promise<void> {
    refuseAll(path, await this.#needs.of(path))
  }

  /**
   * A machine that is about to be started writes disks that lie outside of its folder: none on which another machine's disk rests. Those in its folder are its
   * own, and what others share of it is frozen.
   * @throws AppError `wrong-state`
   */
  async refuseWritten({ id, bundle }: NeedingMachine): Promise<void> {
    for (const { id: drive, kind, readOnly, path } of bundle.config?.drives ?? []) {
      if (kind !== 'disk' || readOnly || path === null || !isAbsolutePath(path)) continue
      const need = (await this.#needs.of(path)).find(({ how, machine }) => how === 'below' && machine.id !== id)
      if (!need) continue
      const { name } = need.machine.bundle
      throw new AppError(
        'wrong-state',
        `“${bundle.name}” would write its disk “${drive}” (“${path}”), on which a disk of “${name}” rests, which would be lost. Make the disk read-only, or give “${bundle.name}” a copy of it.`,
        { subject: path },
      )
    }
  }

  /** An image that a machine has as its disk now may be changed as a whole; one that a snapshot keeps, or another disk rests on, may not. */
  async #refuseBelow(path: string): Promise<void> {
    refuseAll(
      path,
      (await this.#needs.of(path)).filter(({ how, snapshot }) => how === 'below' || snapshot !== null),
    )
  }

  /** @param above the image that rests on it and may */
  async #refuseNeeded(path: string, above: string): Promise<void> {
    const real = await realpath(above)
    refuseAll(
      path,
      (await this.#needs.of(path)).filter(({ how, snapshot, drive }) => how === 'drive' || snapshot !== null || drive !== real),
    )
  }

  /** For other services that read images, too. */
  get holders(): ImageHolders {
    return this.#holders
  }

  /** What a machine would forbid is said at once, and no task begins. */
  async #start({ uses, doing, ...spec }: Work, work: (context: TaskContext) => Promise<TaskResult>): Promise<TaskStarted> {
    const [machine] = await this.#holders.check(uses)
    const again = (): Promise<TaskStarted> => this.#start({ uses, doing, ...spec }, work)
    return this.#tasks.start({ ...spec, machine: machine?.id ?? null, again }, (context) =>
      this.#holders.hold(uses, doing, () => {
        context.signal.throwIfAborted()
        return work(context)
      }),
    )
  }

  /** A machine's disk is what the machine says: its guest could write another format's mark into it. */
  async #known(image: Image): Promise<Image> {
    return { ...image, format: image.format ?? (await this.#holders.declaredFormat(image.path)) }
  }

  #call<T>(work: (storage: Client<typeof storageThread>) => Promise<T>): Promise<T> {
    return this.#holders.naming(() => this.#storage.use(({ rpc }) => work(rpc.service(storageThread))))
  }
}

/** Snapshots are named first: they are what explains it. */
function refuseAll(path: string, needs: readonly ImageNeed[]): void {
  const need = needs.find(({ how, snapshot }) => how === 'drive' && snapshot !== null) ?? needs[0]
  if (!need) return
  const { machine, how, snapshot } = need
  const { bundle } = machine
  const owner = snapshot === null ? `the machine “${bundle.name}”` : `the snapshot “${snapshot}” of “${bundle.name}”`
  const sentence =
    how === 'drive'
      ? `“${path}” belongs to ${owner}, and must stay what it is.`
      : `A disk of ${owner} rests on “${path}”, which must stay what it is.`
  throw new AppError('wrong-state', sentence, { subject: path })
}

function reads({ path }: { path: string }): ImageUse {
  return { path, write: false }
}

function writes({ path }: { path: string }): ImageUse {
  return { path, write: true }
}
