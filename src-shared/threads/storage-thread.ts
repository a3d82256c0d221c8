/** Control of the storage thread: opens images and hands each out as a block port; makes, changes and looks into image files. */
import { z } from 'zod'
import { diskFormat, type DiskFormat } from '../model/disk-format.ts'
import type { DiskDifference } from '../model/disk-difference.ts'
import type { FileSystemChanges } from '../model/file-changes.ts'
import type { ImageCheck, ImageInfo, ImageMeasure } from '../model/image-info.ts'
import { call, defineService, event } from '../rpc/service.ts'
import type { BlockInfo } from './block-port.ts'

const path = z.string().min(1)
/**
 * An image, and what may be opened with it. `format` null: told by the file's mark, raw without one; for files that a person chose, never for a
 * machine's disks. `folders`: where the files may lie that it rests on (absolute).
 */
const image = { path, format: diskFormat.nullable(), folders: z.array(path) }
/** Names the progress that is told of a call. */
const job = z.string()

const bytes = z.number().int().min(0)
/** A file, or a part of it under a name of its own: what a member of an archive is. */
const filePart = z.strictObject({ path, range: z.strictObject({ name: z.string(), offset: bytes, length: bytes }).nullable() })
export type FilePart = z.output<typeof filePart>

/**
 * An image from elsewhere. `layers`: the image, and then what it rests on, the nearest first, where its machine's description knows that and not the
 * image; alone, it names that itself, in one of `folders`. `format`: of the first; null: told by the file's mark, raw without one.
 */
const foreignImage = z.strictObject({ layers: z.array(filePart).min(1).max(256), format: diskFormat.nullable(), folders: z.array(path) })
export type ForeignImage = z.output<typeof foreignImage>

export interface ArchiveMember {
  /** As written. Hostile. */
  name: string
  type: 'file' | 'hardlink' | 'symlink' | 'directory' | 'other'
  /** Where its contents begin in the archive; they are `size` bytes and inside of it. */
  offset: number
  size: number
  /** Seconds since 1970. */
  modified: number
}

const packMember = z.discriminatedUnion('kind', [
  /** Each of the keys of `values` stands in the text for the size or the digest (SHA-256) of a member. What it is short of then, it has spaces for at its end. */
  z.strictObject({
    kind: z.literal('text'),
    name: z.string(),
    text: z.string(),
    values: z.record(z.string(), z.strictObject({ tell: z.enum(['size', 'digest']), of: z.string() })),
  }),
  z.strictObject({ kind: z.literal('file'), name: z.string(), path }),
  /** A disk as a compressed VMDK (streamOptimized). */
  z.strictObject({
    kind: z.literal('disk'),
    name: z.string(),
    image: z.strictObject({ path, format: diskFormat, folders: z.array(path) }),
  }),
])
export type PackMember = z.output<typeof packMember>

const unpackedFile = z.strictObject({ name: z.string(), offset: bytes, length: bytes, to: path, modified: bytes })
export type UnpackedFile = z.output<typeof unpackedFile>

export const storageThread = defineService('storage', {
  /**
   * Opens an image and serves it on `port` (see block-port.ts) until the port closes or `close` is called. A writable image is locked
   * against a second opener, in this process and others.
   */
  open: call(
    z.strictObject({
      handle: z.string(),
      path,
      format: diskFormat,
      readOnly: z.boolean(),
      folders: z.array(path).default([]),
      /** Flushes do nothing (disk-bus.ts). */
      unsafe: z.boolean().default(false),
      port: z.custom<object>(),
    }),
  ).returns<BlockInfo>(),
  /** Makes a qcow2 image at `path` that rests on an open one, which goes on being written. */
  createAbove: call(z.strictObject({ handle: z.string(), path })).returns<void>(),
  /**
   * An open image, which nobody writes at the moment, is frozen: what is written from now on goes to the one at `path` that was made above it. Where this
   * fails, it is served as before.
   */
  goOnIn: call(z.strictObject({ handle: z.string(), path })).returns<void>(),
  /** Nobody opens the image until `close`: another program is about to write it. `busy` where somebody has it open. */
  hold: call(z.strictObject({ handle: z.string(), path })).returns<void>(),
  /** Flushes and closes. Unknown handles are fine. */
  close: call(z.strictObject({ handle: z.string() })).returns<void>(),
  /** Copies a file, sparse, with progress; the target appears under its name only when whole (temp + fsync + rename). */
  copy: call(z.strictObject({ job, from: path, to: path })).returns<{ bytes: number }>(),

  /** What the image and the files below it take, found without their locks. */
  measure: call(z.strictObject({ path, format: diskFormat })).returns<ImageMeasure>(),
  /** What the image is, and what it rests on. Reads metadata only. `inUse`: without the locks, also of one that is being written. */
  inspect: call(z.strictObject({ ...image, inUse: z.boolean().default(false) })).returns<ImageInfo>(),
  /**
   * A new image of zeroes, or of what `backing` has. `size` in bytes; null: the backing's. The backing's name is written relative where it lies in the
   * image's folder or below.
   */
  create: call(
    z.strictObject({
      path,
      format: diskFormat,
      size: z.number().int().min(1).nullable(),
      backing: z.strictObject(image).nullable(),
      clusterSize: z.number().int().optional(),
    }),
  ).returns<{ size: number }>(),
  /** The same disk in another file, which appears under its name only when whole. `packed`: compressed, where the format can. */
  convert: call(
    z.strictObject({
      job,
      from: z.strictObject(image),
      to: z.strictObject({
        path,
        format: diskFormat,
        clusterSize: z.number().int().optional(),
        packed: z.boolean(),
        replace: z.boolean(),
      }),
    }),
  ).returns<{ size: number }>(),
  /** `size` in bytes. A smaller one is refused unless `shrink` says that what it cuts off may be lost. */
  resize: call(z.strictObject({ image: z.strictObject(image), size: z.number().int().min(1), shrink: z.boolean() })).returns<{
    size: number
  }>(),
  /** Gives room back that holds zeroes or nothing, without a change of the disk. Bytes that take room before and afterwards. */
  compact: call(z.strictObject({ job, image: z.strictObject(image) })).returns<{ before: number; after: number }>(),
  /** Looks through all metadata, and with `repair` mends it. Null where the format has nothing to look through. */
  check: call(z.strictObject({ job, image: z.strictObject(image), repair: z.boolean() })).returns<ImageCheck | null>(),
  /**
   * Where two disks differ. Neither is written meanwhile. `parts`: into how many the picture divides the disk, at most. `whether`: it ends at the first
   * difference.
   */
  compare: call(
    z.strictObject({
      job,
      before: z.strictObject(image),
      after: z.strictObject(image),
      parts: z.number().int().min(1),
      whether: z.boolean().default(false),
    }),
  ).returns<DiskDifference>(),
  /** Which files two disks differ in, by partition: those that may. Contents are not compared, but sizes and times. Neither disk is written meanwhile. */
  compareFiles: call(z.strictObject({ before: z.strictObject(image), after: z.strictObject(image) })).returns<FileSystemChanges[]>(),
  /**
   * What an image has is written into the one that it rests on, which is `into`, and the image is empty then. Nothing else rests on that one. The image is
   * the same disk at every moment; asked again, it goes on. Bytes of data that were copied.
   */
  commit: call(z.strictObject({ job, image: z.strictObject(image) })).returns<{ bytes: number; into: string }>(),
  /**
   * The image rests on another one, or (null) on nothing. It is the same disk at every moment: what would show otherwise is copied into it before; `unsafe`:
   * only the name changes. Bytes of data that were copied.
   */
  rebase: call(
    z.strictObject({ job, image: z.strictObject(image), backing: z.strictObject(image).nullable(), unsafe: z.boolean() }),
  ).returns<{ bytes: number }>(),
  /** Real paths of the files that an image rests on, the newest first, as far as they are found: also while somebody writes it. */
  restsOn: call(z.strictObject({ path, format: diskFormat.nullable() })).returns<string[]>(),
  /**
   * Two files of a disk's chain become one, at `upper`'s path: the same disk, which then rests on what `lower` rested on; `lower` is gone. `upper` names
   * `lower` and is in the same folder, nobody has either open, and nothing else rests on `lower`, which from now on is not the disk that it was, also where
   * this fails or is cancelled. `upper` is the same disk at every moment; asked again, it goes on. What was merged already is no error. `folders`: where the
   * files may lie that `lower` rests on, beside its own. Bytes of data that were copied.
   */
  merge: call(
    z.strictObject({
      job,
      lower: z.strictObject({ path, format: diskFormat }),
      upper: z.strictObject({ path, format: diskFormat }),
      folders: z.array(path).default([]),
    }),
  ).returns<{ bytes: number }>(),
  /**
   * The same of files that an open image is or rests on, while it is served: a piece after the other, and between two what the guest asks for. It waits for a
   * piece. Where this fails or is cancelled, the image is served on; `lower` is not needed any more when it resolves, and gone.
   */
  mergeOpen: call(
    z.strictObject({
      ...{ job, handle: z.string() },
      lower: z.strictObject({ path, format: diskFormat }),
      upper: z.strictObject({ path, format: diskFormat }),
    }),
  ).returns<void>(),
  /** What a tar archive has, in its order. */
  listArchive: call(z.strictObject({ path })).returns<ArchiveMember[]>(),
  /** All of it; `unsupported` where it has more than `limit` bytes. */
  readPart: call(z.strictObject({ part: filePart, limit: bytes })).returns<{ bytes: Uint8Array }>(),
  /** Lower-case hexadecimal digits. */
  digest: call(z.strictObject({ job, part: filePart, kind: z.enum(['sha1', 'sha256', 'sha512']) })).returns<{ digest: string }>(),
  /** What an image is that is to be taken, found by opening it with all that it rests on. `size` in bytes, of the disk. */
  lookAt: call(z.strictObject({ image: foreignImage })).returns<{ format: DiskFormat; size: number }>(),
  /** The disk as a whole in a new file, which appears under its name only when whole. */
  take: call(z.strictObject({ job, image: foreignImage, to: z.strictObject({ path, format: diskFormat }) })).returns<{
    format: DiskFormat
    size: number
  }>(),
  /** A new tar archive, which appears under its name only when whole; a file of that name gives way where `replace` says so. Bytes of the file. */
  pack: call(z.strictObject({ job, path, members: z.array(packMember), replace: z.boolean() })).returns<{ bytes: number }>(),
  /** Members of an archive become files, in folders that are there; nothing that is there is replaced. */
  unpack: call(z.strictObject({ job, path, files: z.array(unpackedFile) })).returns<void>(),
  /**
   * Gives back room of a machine's pages of memory (`folder`) that none of its memory files needs. While none is written or read. Nothing is given back where
   * one of them cannot be read.
   */
  freePages: call(z.strictObject({ folder: path, memories: z.array(path) })).returns<void>(),
  /** Bytes of the disk, of all of it; at most ten times a second. */
  progress: event<{ job: string; done: number; total: number }>(),
})
