/** Disk image files, of machines and others: what they are, and all that can be done with one as a whole. */
import { z } from 'zod'
import { diskFormat } from '../model/disk-format.ts'
import type { ImageInfo } from '../model/image-info.ts'
import { diskPathSchema, filePathSchema, isAbsolutePath } from '../model/machine.ts'
import { call, defineService } from '../rpc/service.ts'
import type { TaskStarted } from './tasks.ts'

export const MAX_BACKING_FOLDERS = 16

const path = filePathSchema.refine(isAbsolutePath, 'A disk image needs its full path.')
const image = z.strictObject({
  /** Or an address of a disk on the network. */
  path: diskPathSchema.refine(isAbsolutePath, 'A disk image needs its full path.'),
  /** Null: as the machine says that has it, else by the file's mark, raw without one. */
  format: diskFormat.nullable().default(null),
  /** Where files may lie that it rests on, beside its own folder. */
  folders: z.array(path).max(MAX_BACKING_FOLDERS, `Name at most ${MAX_BACKING_FOLDERS} folders.`).default([]),
})
const size = z.number().int('A size is a whole number of bytes.').min(1, 'A disk has more than 0 bytes.')

/**
 * All refuse an image that a machine has (`busy`: it runs, or something is done with it; `wrong-state`: it is suspended and goes on with the disk as it
 * is), and keep a machine that is off from starting until they are done.
 */
export const images = defineService('images', {
  info: call(image).returns<ImageInfo>(),
  create: call(
    z.strictObject({
      path,
      format: diskFormat,
      /** Bytes; null: as large as the backing. */
      size: size.nullable(),
      backing: image.nullable().default(null),
      /** Bytes; absent: the format's usual ones. */
      clusterSize: z.number().int().min(1).optional(),
    }),
  ).returns<{ size: number }>(),
  /** `size` in bytes. A smaller one is refused unless `shrink` says that what it cuts off may be lost. */
  resize: call(z.strictObject({ image, size, shrink: z.boolean().default(false) })).returns<{ size: number }>(),
  /** The same disk in another file, with all that it rests on. `packed`: compressed. `replace`: a file of that name gives way. */
  convert: call(
    z.strictObject({
      from: image,
      to: z.strictObject({ path, format: diskFormat, packed: z.boolean().default(false), replace: z.boolean().default(false) }),
    }),
  ).returns<TaskStarted>(),
  /** Gives room back that holds zeroes or nothing. */
  compact: call(image).returns<TaskStarted>(),
  /**
   * What the image has is written into the one that it rests on, and it is empty then. Refused also where other images or machines need that one as it is.
   */
  commit: call(image).returns<TaskStarted>(),
  /**
   * The image rests on another one, or (null) on nothing; what it shows stays the same. `unsafe`: only the name changes, and what it shows may be something
   * else. Refused also where a snapshot or the disk of a machine rests on the image.
   */
  rebase: call(z.strictObject({ image, backing: image.nullable(), unsafe: z.boolean().default(false) })).returns<TaskStarted>(),
  check: call(z.strictObject({ image, repair: z.boolean().default(false) })).returns<TaskStarted>(),
})
