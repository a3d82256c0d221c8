/** The superblock of ext2, ext3 and ext4 (Linux, Documentation/filesystems/ext4, "Super Block"). Pure. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'

/** Where it lies, and how much of it is read. */
export const SUPERBLOCK = { offset: 1024, length: 1024 } as const

/** Features without which a reader must not go on (s_feature_incompat). */
const INCOMPAT = {
  filetype: 0x2,
  recover: 0x4,
  metaBg: 0x10,
  extents: 0x40,
  wide: 0x80,
  mmp: 0x100,
  flexBg: 0x200,
  eaInode: 0x400,
  csumSeed: 0x2000,
  largeDir: 0x4000,
  inlineData: 0x8000,
  encrypt: 0x10000,
  casefold: 0x20000,
} as const
const KNOWN = Object.values(INCOMPAT).reduce((all, one) => all | one, 0) & ~INCOMPAT.metaBg

export interface Superblock {
  blockSize: number
  blocks: number
  firstBlock: number
  blocksPerGroup: number
  inodes: number
  inodesPerGroup: number
  /** Bytes. */
  inodeSize: number
  /** Bytes of a group's descriptor. */
  descriptorSize: number
  label: string
  /** The inode of the journal, where it has something that is not in its place yet; 0: it has not. */
  journal: number
}

/**
 * @returns null: there is none
 * @throws AppError `corrupt`, `unsupported`
 */
export function parseSuperblock(view: DataView<ArrayBuffer>): Superblock | null {
  if (view.getUint16(0x38, true) !== 0xef53) return null
  const incompat = view.getUint32(0x4c, true) === 0 ? 0 : view.getUint32(0x60, true)
  if ((incompat & ~KNOWN) !== 0)
    throw new AppError(
      'unsupported',
      `The ext file system has features that Coppice does not know (0x${(incompat & ~KNOWN).toString(16)}).`,
    )
  const wide = (incompat & INCOMPAT.wide) !== 0
  const logBlock = view.getUint32(0x18, true)
  const revision = view.getUint32(0x4c, true)
  const found: Superblock = {
    blockSize: logBlock > 6 ? 0 : 1024 * 2 ** logBlock,
    blocks: view.getUint32(0x04, true) + (wide ? view.getUint32(0x150, true) * 2 ** 32 : 0),
    firstBlock: view.getUint32(0x14, true),
    blocksPerGroup: view.getUint32(0x20, true),
    inodes: view.getUint32(0x00, true),
    inodesPerGroup: view.getUint32(0x28, true),
    inodeSize: revision === 0 ? 128 : view.getUint16(0x58, true),
    descriptorSize: wide ? view.getUint16(0xfe, true) : 32,
    label: text(new Uint8Array(view.buffer, 0x78, 16)),
    journal: (incompat & INCOMPAT.recover) === 0 ? 0 : view.getUint32(0xe0, true),
  }
  const { blockSize, inodeSize, descriptorSize } = found
  const sound =
    blockSize > 0 &&
    found.blocksPerGroup > 0 &&
    found.inodesPerGroup > 0 &&
    inodeSize >= 128 &&
    inodeSize <= blockSize &&
    (inodeSize & (inodeSize - 1)) === 0 &&
    descriptorSize >= 32 &&
    descriptorSize <= 1024 &&
    Number.isSafeInteger(found.blocks * blockSize)
  if (!sound) throw new AppError('corrupt', 'The superblock of the ext file system is damaged.')
  return found
}

function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end === -1 ? bytes : bytes.subarray(0, end))
}
