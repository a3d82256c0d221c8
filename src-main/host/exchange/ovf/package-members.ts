/**
 * What the files of an OVF package are, in a folder or in an OVA archive, and whether an archive has them in order (DSP0243 1.1, section 5.3:
 * the descriptor first; then manifest and certificate, or both of them at the very end; the other files in the order of References).
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { plainName } from '../text/file-reference.ts'
import { shown } from '../text/remarks.ts'
import { compareManifest, type ManifestLine } from './manifest.ts'

/** Members of an archive. */
export const MAX_MEMBERS = 4096

export interface PackageMembers {
  /** Plain names. */
  descriptor: string
  manifest: string | null
  /** Signs the manifest. Nobody checks it here. */
  certificate: string | null
  others: string[]
}

/**
 * @param names in the order of the archive, or any order of a folder
 * @param what the archive or folder, for sentences
 * @throws AppError `corrupt` without a descriptor, with several, or with a name that leads out of the package or comes twice
 */
export function packageMembers(names: readonly string[], what: string): PackageMembers {
  const bad = (is: string): AppError => new AppError('corrupt', `${what} ${is}.`, { subject: what })
  if (names.length > MAX_MEMBERS) throw new AppError('unsupported', `${what} has more than ${MAX_MEMBERS} files.`, { subject: what })
  const plain = names.map((name) => {
    const checked = plainName(name)
    if (checked === null) throw bad(`has a file whose name leads out of it: “${shown(name)}”`)
    return checked
  })
  if (new Set(plain).size !== plain.length) throw bad('has two files of one name')
  const descriptors = plain.filter((name) => /\.ovf$/i.test(name))
  const descriptor = descriptors[0]
  if (descriptor === undefined) throw bad('has no OVF descriptor (a file whose name ends in .ovf)')
  if (descriptors.length > 1) throw bad(`has several OVF descriptors: ${descriptors.slice(0, 3).map(shown).join(', ')}`)
  // Both have the descriptor's base name (section 5.1); in a folder there may be those of other packages.
  const base = descriptor.slice(0, -'.ovf'.length).toLowerCase()
  const beside = (extension: string): string | null => plain.find((name) => name.toLowerCase() === `${base}.${extension}`) ?? null
  const manifest = beside('mf')
  const certificate = beside('cert')
  return { descriptor, manifest, certificate, others: plain.filter((name) => ![descriptor, manifest, certificate].includes(name)) }
}

/**
 * What is not in order in an archive, as sentences; empty where all is. An archive out of order can still be read by whoever can seek in it.
 * @param names plain, in the order of the archive
 * @param references plain names of the descriptor's files, in its order
 */
export function orderProblems(names: readonly string[], members: PackageMembers, references: readonly string[]): string[] {
  const problems: string[] = []
  if (names[0] !== members.descriptor) problems.push(`The descriptor “${shown(members.descriptor)}” is not the first file of the archive.`)
  const rest = names.filter((name) => name !== members.descriptor)
  const sealed = [members.manifest, members.certificate].filter((name) => name !== null)
  const starts = sealed.every((name, at) => rest[at] === name)
  const ends = sealed.every((name, at) => rest[rest.length - sealed.length + at] === name)
  if (!starts && !ends) problems.push('The manifest and the certificate are neither behind the descriptor nor at the end of the archive.')
  const listed = new Set(references)
  const found = rest.filter((name) => listed.has(name))
  const expected = references.filter((name) => found.includes(name))
  if (expected.some((name, at) => found[at] !== name))
    problems.push('The files of the archive are in another order than the descriptor lists them.')
  return problems
}

/** The order in which an archive is written: descriptor, manifest, then the files as the descriptor lists them. */
export function memberOrder(descriptor: string, manifest: string, references: readonly string[]): string[] {
  return [descriptor, manifest, ...references]
}

/**
 * How far the package is assured, as sentences for people; empty for a manifest of all its files and no signature.
 * @param lines of the manifest; null without one
 */
export function sealRemarks(members: PackageMembers, lines: readonly ManifestLine[] | null): string[] {
  const remarks: string[] = []
  if (members.certificate !== null)
    remarks.push(`The package is signed (“${shown(members.certificate)}”). Who signed it is not checked here.`)
  if (lines === null) return [...remarks, 'The package has no manifest: whether its files are whole cannot be checked.']
  const { missing, extra } = compareManifest(lines, [members.descriptor, ...members.others])
  if (missing.length > 0) remarks.push(`In the manifest, but not in the package: ${shown(missing.join(', '))}.`)
  if (extra.length > 0) remarks.push(`Not in the manifest, and so not checked: ${shown(extra.join(', '))}.`)
  return remarks
}
