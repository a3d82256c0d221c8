/** The `images` service: the storage thread's work on image files, and the machines' say in it. */
import { basename } from 'node:path'
import type { z } from 'zod'
import type { images } from '../../../src-shared/api/images.ts'
import type { TaskResult, TaskStarted } from '../../../src-shared/api/tasks.ts'
import type { Client, Handlers } from '../../../src-shared/rpc/service.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import type { TaskContext, TaskService, TaskSpec } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { ImageHolders, type HoldingMachine, type ImageUse } from './image-holders.ts'
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
    resize: ({ image, size, shrink }) =>
      this.#holders.hold([writes(image)], 'having a disk resized', async () => {
        const known = await this.#known(image)
        return this.#call((storage) => storage.resize({ image: known, size, shrink }))
      }),
    convert: ({ from, to }) => {
      const title = `Converting “${basename(from.path)}” into “${basename(to.path)}”`
      const uses = [reads(from), ...(to.replace ? [writes(to)] : [])]
      return this.#start({ kind: 'convert-image', title, uses, doing: 'having a disk converted' }, async (context) => {
        const known = await this.#known(from)
        return storageJob(this.#storage, context, (storage, job, options) => storage.convert({ job, from: known, to }, options))
      })
    },
    compact: (image) => {
      const title = `Compacting “${basename(image.path)}”`
      return this.#start({ kind: 'compact-image', title, uses: [writes(image)], doing: 'having a disk compacted' }, async (context) => {
        const known = await this.#known(image)
        const room = await storageJob(this.#storage, context, (storage, job, options) => storage.compact({ job, image: known }, options))
        return { room }
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

  constructor({ storage, tasks, machines }: ImageServiceParts) {
    this.#storage = storage
    this.#tasks = tasks
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

  /** What a machine would forbid is said at once, and no task begins. */
  async #start({ uses, doing, ...spec }: Work, work: (context: TaskContext) => Promise<TaskResult>): Promise<TaskStarted> {
    const [machine] = await this.#holders.check(uses)
    return this.#tasks.start({ ...spec, machine: machine?.id ?? null }, (context) =>
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

function reads({ path }: { path: string }): ImageUse {
  return { path, write: false }
}

function writes({ path }: { path: string }): ImageUse {
  return { path, write: true }
}
