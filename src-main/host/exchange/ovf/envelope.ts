/**
 * What all machines of an OVF descriptor share: files, disks, deployment configurations (DSP0243 1.1, sections 7.1, 9.1, 9.8). The sections of
 * OVF 0.9 (<Section xsi:type="ovf:DiskSection_Type">) become those of 1.x.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { imageFormat } from '../device-names.ts'
import { checkCount, shortText, type ForeignDrive } from '../foreign-machine.ts'
import { countOf, isTrue } from '../text/counts.ts'
import { plainHref } from '../text/file-reference.ts'
import { attribute, child, childrenOf, type XmlElement } from '../xml/parse-xml.ts'
import { sizeInBytes } from './allocation-units.ts'

/** Files, and disks, of a descriptor. */
export const MAX_FILES = 4096
/** Disks that rest on one another. */
export const MAX_DISK_CHAIN = 64

export interface OvfFile {
  id: string
  /** As written. */
  href: string
  /** A plain relative name; null: the reference leads out of the package (a URL, an absolute path, "..") and is not followed. */
  name: string | null
  /** Bytes of the file in the package, as the descriptor says; null: it does not say. */
  size: number | null
  compression: 'gzip' | null
}

export interface OvfDisk {
  id: string
  /** Null: a new empty disk. */
  file: OvfFile | null
  /** Bytes; null: not said, or a property that is filled in at deployment. */
  capacity: number | null
  format: ForeignDrive['format']
  /** The disk that this one holds changes to. */
  parent: string | null
}

/** Also those of OVF 0.9, and of VMware's drafts before it. */
const NAMESPACE = /^http:\/\/(schemas\.dmtf\.org\/ovf\/(envelope\/[12]|1\/envelope)|www\.vmware\.com\/schema\/ovf\/1\/envelope)\/?$/

/** @throws AppError `corrupt` where the root is no OVF envelope */
export function checkEnvelope(root: XmlElement, what: string): void {
  if (root.name !== 'Envelope' || !NAMESPACE.test(root.space))
    throw new AppError('corrupt', `${what} is not an OVF descriptor of a version that is known here (0.9, 1 or 2).`, { subject: what })
  nameOldSections(root)
}

function nameOldSections(element: XmlElement): void {
  for (const one of element.children) {
    const type = one.name === 'Section' || one.name === 'Content' ? /^(?:[\w-]+:)?(\w+)_Type$/.exec(attribute(one, 'type') ?? '') : null
    if (type !== null) one.name = type[1]!
    if (one.name === 'VirtualSystem' || one.name === 'VirtualSystemCollection') nameOldSections(one)
  }
}

/** @throws AppError `unsupported` past a limit or for files cut in pieces, `corrupt` for two with one id */
export function readFiles(root: XmlElement, present: (name: string) => boolean, what: string): Map<string, OvfFile> {
  const elements = childrenOf(child(root, 'References'), 'File')
  checkCount(elements.length, MAX_FILES, 'files', what)
  const files = new Map<string, OvfFile>()
  for (const element of elements) {
    const id = attribute(element, 'id') ?? ''
    const href = attribute(element, 'href') ?? ''
    const compression = (attribute(element, 'compression') ?? 'identity').toLowerCase()
    if (files.has(id))
      throw new AppError('corrupt', `${what} has two files with the id “${shortText(id).slice(0, 80)}”.`, { subject: what })
    if (attribute(element, 'chunkSize') !== null)
      throw new AppError('unsupported', `${what} has files that are cut in pieces (ovf:chunkSize). They are not read.`, { subject: what })
    if (compression !== 'identity' && compression !== '' && compression !== 'gzip')
      throw new AppError('unsupported', `${what} has files that are compressed in a way that is not known here.`, { subject: what })
    files.set(id, {
      ...{ id, href, name: plainHref(href, present), size: countOf(attribute(element, 'size')) },
      compression: compression === 'gzip' ? 'gzip' : null,
    })
  }
  return files
}

/** @throws AppError `unsupported` past a limit, `corrupt` for a disk whose file is not listed */
export function readDisks(root: XmlElement, files: ReadonlyMap<string, OvfFile>, what: string): Map<string, OvfDisk> {
  const elements = root.children.filter(({ name }) => name.endsWith('DiskSection')).flatMap((section) => childrenOf(section, 'Disk'))
  checkCount(elements.length, MAX_FILES, 'disks', what)
  const disks = new Map<string, OvfDisk>()
  for (const element of elements) {
    const id = attribute(element, 'diskId') ?? ''
    const reference = attribute(element, 'fileRef') ?? ''
    const file = reference === '' ? null : files.get(reference)
    if (file === undefined)
      throw new AppError('corrupt', `${what}: the disk “${shortText(id).slice(0, 80)}” is in a file that is not listed.`, { subject: what })
    disks.set(id, {
      ...{ id, file, parent: attribute(element, 'parentRef') },
      capacity: sizeInBytes(countOf(attribute(element, 'capacity')), attribute(element, 'capacityAllocationUnits'), 1),
      format: imageFormat(attribute(element, 'format'), file?.name ?? null),
    })
  }
  return disks
}

/** The id of the configuration that is deployed when nobody chooses: the one marked, else the first. */
export function usualConfiguration(root: XmlElement): string | null {
  const configurations = childrenOf(child(root, 'DeploymentOptionSection'), 'Configuration')
  const usual = configurations.find((one) => isTrue(attribute(one, 'default'))) ?? configurations[0]
  return attribute(usual ?? null, 'id')
}
