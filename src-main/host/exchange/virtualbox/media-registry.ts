/**
 * The images that a VirtualBox machine knows (<MediaRegistry>), by UUID. A differencing image stands inside its parent's element; it holds
 * only what was written since, and its own header names the parent by UUID alone, so that the registry is what finds the parent's file.
 */
import { checkCount } from '../foreign-machine.ts'
import { attribute, child, childrenOf, type XmlElement } from '../xml/parse-xml.ts'

export const MAX_MEDIA = 4096

export interface Medium {
  /** A path as written: relative to the .vbox file, or absolute. Hostile. */
  location: string
  /** "VDI", "VMDK", "VHD", "RAW"; null for CD and floppy images. */
  format: string | null
  encrypted: boolean
  readOnly: boolean
  parent: Medium | null
}

/** @throws AppError `unsupported` past a limit */
export function readMedia(machine: XmlElement, what: string): ReadonlyMap<string, Medium> {
  const media = new Map<string, Medium>()
  const registry = child(machine, 'MediaRegistry')
  const add = (element: XmlElement, parent: Medium | null, kind: 'HardDisk' | 'Image'): void => {
    checkCount(media.size + 1, MAX_MEDIA, 'disk images or more', what)
    const medium: Medium = {
      location: attribute(element, 'location') ?? '',
      format: attribute(element, 'format'),
      encrypted: childrenOf(element, 'Property').some((property) => attribute(property, 'name')?.startsWith('CRYPT/') ?? false),
      readOnly: attribute(element, 'type') === 'Readonly',
      parent,
    }
    media.set(uuidOf(attribute(element, 'uuid')), medium)
    for (const one of childrenOf(element, kind)) add(one, medium, kind)
  }
  for (const disk of childrenOf(child(registry, 'HardDisks'), 'HardDisk')) add(disk, null, 'HardDisk')
  for (const list of ['DVDImages', 'FloppyImages'])
    for (const image of childrenOf(child(registry, list), 'Image')) add(image, null, 'Image')
  return media
}

/** "{ABC…}" and "abc…" are one. */
export function uuidOf(text: string | null): string {
  return (text ?? '')
    .trim()
    .replace(/^\{|\}$/g, '')
    .toLowerCase()
}
