/**
 * XML 1.0 (W3C Recommendation, fifth edition) with namespaces, as a tree with named limits. The parser is saxes: it checks well-formedness,
 * knows only the five entities of section 4.6, and fetches nothing. A document type declaration is allowed (property lists have one) but
 * not an internal subset in it, so that nothing can be declared; any other entity is an error.
 */
import { SaxesParser } from 'saxes'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { MiB } from '../../../../src-shared/base/units.ts'
import { decodeText, encodingByMark } from '../text/decode-text.ts'

export const MAX_XML_BYTES = 4 * MiB
/** VirtualBox nests a snapshot in the one before it, by two elements. */
export const MAX_XML_DEPTH = 256
export const MAX_XML_ELEMENTS = 50_000
/** All together: each one’s prefix is looked for in all elements around it. */
export const MAX_XML_ATTRIBUTES = 100_000

export interface XmlElement {
  /** Without its prefix. */
  name: string
  /** Its namespace; '' for none. */
  space: string
  /** By name without prefix; of two with one name the first. Writers disagree on prefixes, and no name here means two things. */
  attributes: ReadonlyMap<string, string>
  children: XmlElement[]
  /** Its own character data, joined. */
  text: string
}

/**
 * @param what the file, for sentences: "debian.ovf"
 * @throws AppError `corrupt` with the line, or `unsupported` where a limit is passed
 */
export function parseXml(bytes: Uint8Array, what: string): XmlElement {
  if (bytes.length > MAX_XML_BYTES)
    throw new AppError('unsupported', `${what} has more than ${MAX_XML_BYTES / MiB} MiB, too much for a description of machines.`, {
      subject: what,
    })
  return parseText(decodeText(bytes, encodingOf(bytes), what), what)
}

function parseText(text: string, what: string): XmlElement {
  const parser = new SaxesParser({ xmlns: true })
  // Its own table answers names of Object.prototype too.
  parser.ENTITIES = Object.assign(Object.create(null) as Record<string, string>, { amp: '&', gt: '>', lt: '<', quot: '"', apos: "'" })
  const open: XmlElement[] = []
  let root: XmlElement | null = null
  let elements = 0
  let attributes = 0
  const limit = (is: string): AppError => new AppError('unsupported', `${what}, line ${parser.line}: ${is}.`, { subject: what })

  parser.on('error', (error) => {
    // Its messages begin with line:column.
    const [, line, message] = /^(\d+):\d+: (.*)$/s.exec(error.message) ?? [null, String(parser.line), error.message]
    throw new AppError('corrupt', `${what} is not proper XML, line ${line}: ${message!.replace(/\.$/, '')}.`, { subject: what })
  })
  parser.on('doctype', (doctype) => {
    if (doctype.includes('['))
      throw new AppError('unsupported', `${what} declares entities or types of its own. They are not read.`, { subject: what })
  })
  parser.on('opentagstart', () => {
    if (++elements > MAX_XML_ELEMENTS) throw limit(`more than ${MAX_XML_ELEMENTS} elements`)
    if (open.length >= MAX_XML_DEPTH) throw limit(`elements lie more than ${MAX_XML_DEPTH} deep`)
  })
  parser.on('attribute', () => {
    if (++attributes > MAX_XML_ATTRIBUTES) throw limit(`more than ${MAX_XML_ATTRIBUTES} attributes`)
  })
  parser.on('opentag', (tag) => {
    const named = new Map<string, string>()
    for (const { local, prefix, value } of Object.values(tag.attributes))
      if (prefix !== 'xmlns' && !named.has(local)) named.set(local, value)
    const element: XmlElement = { name: tag.local, space: tag.uri, attributes: named, children: [], text: '' }
    if (open.length === 0) root = element
    else open.at(-1)!.children.push(element)
    open.push(element)
  })
  const characters = (piece: string): void => {
    if (open.length > 0) open.at(-1)!.text += piece
  }
  parser.on('text', characters)
  parser.on('cdata', characters)
  parser.on('closetag', () => void open.pop())
  parser.write(text).close()
  if (root === null) throw new AppError('corrupt', `${what} has no XML element.`, { subject: what })
  return root
}

/** XML 1.0, section 4.3.3 and appendix F: a mark, the first character's shape, or the declaration; else UTF-8. */
function encodingOf(bytes: Uint8Array): string {
  const marked = encodingByMark(bytes)
  if (marked !== null) return marked
  if (bytes[0] === 0x3c && bytes[1] === 0) return 'utf-16le'
  if (bytes[0] === 0 && bytes[1] === 0x3c) return 'utf-16be'
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 200))
  const declared = /^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']/.exec(start)?.[1]
  // Bytes that could be read so far are no UTF-16, whatever they say.
  return declared === undefined || /^utf-?16/i.test(declared) ? 'utf-8' : declared
}

/** The first child of that name. */
export function child(element: XmlElement | null, name: string): XmlElement | null {
  return element?.children.find((one) => one.name === name) ?? null
}

/** The element at the end of a path of first children. */
export function descendant(element: XmlElement | null, ...path: string[]): XmlElement | null {
  return path.reduce<XmlElement | null>(child, element)
}

export function childrenOf(element: XmlElement | null, name: string): XmlElement[] {
  return element?.children.filter((one) => one.name === name) ?? []
}

export function attribute(element: XmlElement | null, name: string): string | null {
  return element?.attributes.get(name) ?? null
}

/** The trimmed text of the first child of that name; null without one. */
export function childText(element: XmlElement | null, name: string): string | null {
  return child(element, name)?.text.trim() ?? null
}
