/** The storage thread's work: opens images, serves each on a block port, runs jobs on them. */
import { dirname } from 'node:path'
import { MessagePort } from 'node:worker_threads'
import { Emitter } from '../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import type { Handlers } from '../../src-shared/rpc/service.ts'
import type { BlockInfo } from '../../src-shared/threads/block-port.ts'
import type { storageThread } from '../../src-shared/threads/storage-thread.ts'
import { filesBelow } from './chain/rests-on.ts'
import type { ByteFile } from './file/byte-file.ts'
import { openLocked } from './file/open-locked.ts'
import { checkImage } from './jobs/check-image.ts'
import { known } from './jobs/chosen-image.ts'
import { compactImage } from './jobs/compact-image.ts'
import { commitImage } from './jobs/commit-image.ts'
import { compareDisks } from './jobs/compare-disks.ts'
import { compareFiles } from './jobs/compare-files.ts'
import { convertImage } from './jobs/convert-image.ts'
import { copyImage } from './jobs/copy.ts'
import { createAbove, createImage } from './jobs/create-image.ts'
import { freePages } from './jobs/free-pages.ts'
import { inspectImage } from './jobs/inspect-image.ts'
import type { JobOptions } from './jobs/job-progress.ts'
import { measureImage } from './jobs/measure-image.ts'
import { mergeLayers } from './jobs/merge-layers.ts'
import { mergeOpen } from './jobs/merge-open.ts'
import { rebaseImage } from './jobs/rebase-image.ts'
import { resizeImage } from './jobs/resize-image.ts'
import { packArchive } from './package/pack-archive.ts'
import { digestPart, listArchive, readPart } from './package/read-package.ts'
import { lookAtImage, takeImage } from './package/take-image.ts'
import { unpackArchive } from './package/unpack-archive.ts'
import { GoingOn } from './going-on.ts'
import { openImage, type ImageChoice } from './open-image.ts'
import { serveBlock, type ServedBlock } from './serve-block.ts'
import { unflushed } from './unflushed.ts'

interface OpenImage {
  served: ServedBlock
  device: GoingOn
  /** Where it is written now. */
  choice: ImageChoice
}

export class StorageService {
  /** By handle; null while it is being opened. */
  #open = new Map<string, OpenImage | null>()
  /** By handle. */
  #held = new Map<string, Pick<ByteFile, 'close'>>()
  #progress = new Emitter<{ job: string; done: number; total: number }>()

  readonly handlers: Handlers<typeof storageThread> = {
    open: ({ handle, port, unsafe, ...choice }) => this.#openImage(handle, port, choice, unsafe),
    hold: async ({ handle, path }) => {
      if (this.#held.has(handle)) throw new AppError('already-exists', `An image with the handle ${handle} is held already.`)
      this.#held.set(handle, (await openLocked(path, false)).file)
    },
    close: async ({ handle }) => {
      const held = this.#held.get(handle)
      this.#held.delete(handle)
      await held?.close()
      await this.#open.get(handle)?.served.close()
    },
    createAbove: async ({ handle, path }) => {
      const { choice, device } = this.#find(handle)
      await createAbove(path, choice, device.info.size)
    },
    goOnIn: async ({ handle, path }) => {
      const image = this.#find(handle)
      const next: ImageChoice = { path, format: 'qcow2', readOnly: false, folders: [dirname(path)] }
      await image.device.goOn(
        () => openImage(next),
        () => openImage(image.choice),
      )
      image.choice = next
    },
    copy: ({ job, from, to }, { signal }) => copyImage(from, to, this.#options(job, signal)),
    measure: ({ path, format }) => measureImage(path, format),
    inspect: ({ inUse, ...image }) => inspectImage(image, inUse),
    create: ({ clusterSize, ...choice }) => createImage({ ...choice, ...(clusterSize === undefined ? {} : { clusterSize }) }),
    convert: async ({ job, from, to: { clusterSize, ...to } }, { signal }) =>
      convertImage(await known(from), { ...to, ...(clusterSize === undefined ? {} : { clusterSize }) }, this.#options(job, signal)),
    resize: ({ image, size, shrink }) => resizeImage(image, size, shrink),
    compact: ({ job, image }, { signal }) => compactImage(image, this.#options(job, signal)),
    check: ({ job, image, repair }, { signal }) => checkImage(image, repair, this.#options(job, signal)),
    compare: ({ job, ...choice }, { signal }) => compareDisks(choice, this.#options(job, signal)),
    compareFiles: (choice, { signal }) => compareFiles(choice, signal),
    commit: ({ job, image }, { signal }) => commitImage(image, this.#options(job, signal)),
    rebase: ({ job, ...choice }, { signal }) => rebaseImage(choice, this.#options(job, signal)),
    restsOn: ({ path, format }) => filesBelow(path, format),
    merge: ({ job, ...choice }, { signal }) => mergeLayers(choice, this.#options(job, signal)),
    mergeOpen: async ({ job, handle, ...layers }, { signal }) => {
      const { device, choice } = this.#find(handle)
      await mergeOpen(device, () => openImage(choice), layers, this.#options(job, signal))
    },
    listArchive: ({ path }, { signal }) => listArchive(path, signal),
    readPart: async ({ part, limit }) => ({ bytes: await readPart(part, limit) }),
    digest: async ({ job, part, kind }, { signal }) => ({ digest: await digestPart(part, kind, this.#options(job, signal)) }),
    lookAt: ({ image }) => lookAtImage(image),
    take: ({ job, image, to }, { signal }) => takeImage(image, to, this.#options(job, signal)),
    pack: ({ job, path, members, replace }, { signal }) => packArchive(path, members, replace, this.#options(job, signal)),
    unpack: ({ job, path, files }, { signal }) => unpackArchive(path, files, this.#options(job, signal)),
    freePages: ({ folder, memories }) => freePages(folder, memories),
    progress: this.#progress.event,
  }

  #find(handle: string): OpenImage {
    const found = this.#open.get(handle)
    if (!found) throw new AppError('not-found', `No image with the handle ${handle} is open.`)
    return found
  }

  #options(job: string, signal: AbortSignal): JobOptions {
    return { signal, onProgress: (done, total) => this.#progress.fire({ job, done, total }) }
  }

  async #openImage(handle: string, port: object, choice: ImageChoice, unsafe: boolean): Promise<BlockInfo> {
    if (!(port instanceof MessagePort)) throw new AppError('invalid-input', 'An image needs a port to be served on.')
    try {
      if (this.#open.has(handle)) throw new AppError('already-exists', `An image with the handle ${handle} is open already.`)
      this.#open.set(handle, null)
      try {
        const device = new GoingOn(await openImage(choice))
        const served = serveBlock(unsafe ? unflushed(device) : device, port, (error) => {
          this.#open.delete(handle)
          if (error) console.error(`Closing “${choice.path}”: ${asAppError(error).message}`)
        })
        this.#open.set(handle, { served, device, choice })
        return device.info
      } catch (error) {
        this.#open.delete(handle)
        throw error
      }
    } catch (error) {
      port.close()
      throw error
    }
  }
}
