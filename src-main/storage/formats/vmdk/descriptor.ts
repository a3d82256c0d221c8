/** The descriptor of a VMDK: VMware, "Virtual Disk Format 5.0", "The Descriptor File". Text of lines `name = value`, and of extents. */
import { basename } from 'node:path'
import { damaged, unsupported } from '../blocks/faults.ts'

/** Bytes. VMware's are below 2 KiB, or 10 KiB where they are inside of an extent. */
export const LARGEST_DESCRIPTOR = 256 * 1024
/** Files of one disk: 2 TiB in extents of 2 GiB. */
const MOST_EXTENTS = 1024
const LONGEST_NAME = 255
/** A disk without parent. */
export const NO_PARENT = 'ffffffff'

export interface VmdkExtent {
  access: 'RW' | 'RDONLY'
  kind: 'sparse' | 'flat' | 'zero'
  /** Of 512 bytes. */
  sectors: number
  /** A name in the descriptor's own folder; empty where the kind is `zero`. */
  file: string
  /** Bytes, where flat data begins in its file. */
  offset: number
}

export interface VmdkDescriptor {
  createType: string
  /** Eight hexadecimal digits, lower case: changes with the content, so that layers know their parent. */
  contentId: string
  /** Where the text says the content's ID, in characters; null where it is not eight digits. */
  contentIdAt: number | null
  parentContentId: string
  parentHint: string
  extents: VmdkExtent[]
}

/** Whether this is the text of a descriptor: comments, then `version=`. */
export function isDescriptor(head: Uint8Array): boolean {
  return /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*version[ \t]*=[ \t]*\d/i.test(latin1(head.subarray(0, 4096)))
}

/**
 * @param bytes up to a zero, which ends it
 * @throws AppError `corrupt`; `unsupported`: another version, extents of ESX, files elsewhere
 */
export function parseDescriptor(bytes: Uint8Array, path: string): VmdkDescriptor {
  const end = bytes.indexOf(0)
  const raw = bytes.subarray(0, end < 0 ? bytes.length : end)
  // Offsets of characters and bytes must be the same for the content's ID, names may be UTF-8.
  const plain = latin1(raw)
  const text = new TextDecoder().decode(raw)
  const values = new Map<string, string>()
  const extents: VmdkExtent[] = []
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(#|$)/.test(line)) continue
    if (/^\s*(RW|RDONLY|NOACCESS)\s/.test(line)) {
      if (extents.length === MOST_EXTENTS) throw unsupported(path, `it has more than ${MOST_EXTENTS} extents.`)
      extents.push(parseExtent(line.trim(), path))
      continue
    }
    const [, name, value] = /^\s*([\w.]+)\s*=\s*"?(.*?)"?\s*$/.exec(line) ?? []
    if (name && value !== undefined && !values.has(name.toLowerCase())) values.set(name.toLowerCase(), value)
  }
  const version = values.get('version')
  if (version === undefined) throw damaged(path, 'its descriptor has no version')
  if (!/^[1-3]$/.test(version)) throw unsupported(path, `its descriptor has version ${version.slice(0, 20)}; 1 to 3 are known.`)
  if (extents.length === 0) throw damaged(path, 'its descriptor names no extent')
  const id = /^[ \t]*CID[ \t]*=[ \t]*"?([0-9a-f]{8})\b/im.exec(plain)
  return {
    createType: values.get('createtype') ?? 'unknown',
    contentId: (values.get('cid') ?? '').toLowerCase(),
    contentIdAt: id ? id.index + id[0].length - 8 : null,
    parentContentId: (values.get('parentcid') ?? NO_PARENT).toLowerCase(),
    parentHint: values.get('parentfilenamehint') ?? '',
    extents,
  }
}

/** "RW 4192256 SPARSE "disk-s001.vmdk"", "RW 8388608 FLAT "disk-flat.vmdk" 0", "RW 2048 ZERO". */
function parseExtent(line: string, path: string): VmdkExtent {
  const [, access, size, type, , file = '', offset = '0'] = /^(\w+)\s+(\d{1,15})\s+(\w+)(\s+"([^"]*)"(?:\s+(\d{1,15}))?)?/.exec(line) ?? []
  if (!access || !size || !type) throw damaged(path, `this line of its descriptor says nothing: “${line.slice(0, 80)}”`)
  if (access === 'NOACCESS') throw unsupported(path, 'a part of it is not to be accessed, as its descriptor says.')
  const kinds: Record<string, VmdkExtent['kind']> = { SPARSE: 'sparse', FLAT: 'flat', VMFS: 'flat', ZERO: 'zero' }
  const kind = kinds[type.toUpperCase()]
  if (!kind)
    throw unsupported(
      path,
      `it has an extent of type ${type.slice(0, 20)}, of ESX alone. Export the machine there as OVF, and import that.`,
    )
  const sectors = Number(size)
  if (sectors === 0 || !Number.isSafeInteger(sectors * 512) || !Number.isSafeInteger(Number(offset) * 512))
    throw damaged(path, `an extent of its descriptor has ${size} sectors`)
  if (kind !== 'zero') checkName(file, path)
  return { access: access as 'RW' | 'RDONLY', kind, sectors, file, offset: Number(offset) * 512 }
}

/** An image may bring its neighbours with it, never reach for other files of the computer. */
function checkName(name: string, path: string): void {
  // eslint-disable-next-line no-control-regex -- these are what a name must not have
  if (name === '' || name === '.' || name === '..' || name.length > LONGEST_NAME || /[/\\:\x00-\x1f]/.test(name))
    throw unsupported(path, `its descriptor names the file “${name.slice(0, 80)}”. Its files have to be beside it, in the same folder.`)
}

/** @param size bytes of the disk; @param path of the file that has (or is) the one extent */
export function buildDescriptor(createType: 'monolithicSparse' | 'streamOptimized', size: number, path: string): Uint8Array<ArrayBuffer> {
  const sectors = size / 512
  // eslint-disable-next-line no-control-regex -- nothing that would end the name or the line
  const name = basename(path).replace(/["\x00-\x1f]/g, '_')
  const cylinders = Math.min(65_535, Math.max(1, Math.floor(sectors / (16 * 63))))
  const text = `# Disk DescriptorFile
version=1
CID=${newContentId()}
parentCID=${NO_PARENT}
createType="${createType}"

# Extent description
RW ${sectors} SPARSE "${name}"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "${cylinders}"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "${createType === 'streamOptimized' ? 'lsilogic' : 'ide'}"
`
  return new TextEncoder().encode(text)
}

/** Anything but "no parent". */
export function newContentId(): string {
  return (crypto.getRandomValues(new Uint32Array(1))[0]! % 0xffff_fffe).toString(16).padStart(8, '0')
}

/** A character a byte; TextDecoder's latin1 is not. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}
