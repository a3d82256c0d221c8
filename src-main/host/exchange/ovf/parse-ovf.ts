/**
 * OVF descriptors as machines: DMTF DSP0243, versions 1.0, 1.1 and 2.x, and the 0.9 that VirtualBox can write. A descriptor has one
 * <VirtualSystem>, or a <VirtualSystemCollection> of several, nested (section 7.3); every one becomes a machine of its own.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { checkCount, MAX_FOREIGN_MACHINES, type ForeignMachine } from '../foreign-machine.ts'
import { Remarks, shown } from '../text/remarks.ts'
import { parseXml, type XmlElement } from '../xml/parse-xml.ts'
import { checkEnvelope, readDisks, readFiles, usualConfiguration, type OvfFile } from './envelope.ts'
import { licencesOf, readSystem, type SystemContext } from './virtual-system.ts'

export interface OvfDescriptor {
  /** All that the descriptor lists, in its order: also files that no machine uses. */
  files: OvfFile[]
  /** At least one. */
  machines: ForeignMachine[]
}

/**
 * @param what the file, for sentences: "debian.ovf"
 * @param present whether the package has a file of that name: tells names with "%20" in them from names that are percent-encoded
 * @throws AppError `corrupt` (what is not as the specification says it), `unsupported` (a limit, an encrypted or cut file)
 */
export function parseOvf(bytes: Uint8Array, what: string, present: (name: string) => boolean = () => false): OvfDescriptor {
  const root = parseXml(bytes, what)
  checkEnvelope(root, what)
  const files = readFiles(root, present, what)
  const disks = readDisks(root, files, what)
  const remarks = new Remarks()
  for (const { name } of root.children) if (!KNOWN_SECTIONS.has(name)) remarks.leftOut(`Part “${shown(name)}” of the description`)
  const configuration = usualConfiguration(root)
  const context = { files, disks, configuration, licences: licencesOf(root), unknown: remarks.list(), what }
  const machines = collect(root, context)
  if (machines.length === 0) throw new AppError('corrupt', `${what} describes no machine.`, { subject: what })
  return { files: [...files.values()], machines }
}

const KNOWN_SECTIONS: ReadonlySet<string> = new Set([
  ...['References', 'DiskSection', 'SharedDiskSection', 'NetworkSection', 'DeploymentOptionSection', 'EulaSection', 'Strings'],
  ...['VirtualSystem', 'VirtualSystemCollection'],
])
const COLLECTION_PARTS: ReadonlySet<string> = new Set([
  ...['Info', 'Name', 'VirtualSystem', 'VirtualSystemCollection', 'EulaSection', 'AnnotationSection'],
])

function collect(element: XmlElement, context: SystemContext): ForeignMachine[] {
  const machines: ForeignMachine[] = []
  for (const one of element.children) {
    if (one.name === 'VirtualSystem') machines.push(readSystem(one, context))
    else if (one.name === 'VirtualSystemCollection') machines.push(...collect(one, inCollection(one, context)))
    checkCount(machines.length, MAX_FOREIGN_MACHINES, 'machines', context.what)
  }
  return machines
}

function inCollection(collection: XmlElement, context: SystemContext): SystemContext {
  const remarks = new Remarks()
  for (const sentence of context.unknown) remarks.add(sentence)
  for (const { name } of collection.children)
    if (!COLLECTION_PARTS.has(name)) remarks.leftOut(`Part “${shown(name)}” of the collection of machines`)
  return { ...context, licences: [...context.licences, ...licencesOf(collection)], unknown: remarks.list() }
}
