/** What a file that somebody chose is, and the machines that it describes. */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import type { PackageKind } from '../../../../src-shared/api/exchange.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { FilePart } from '../../../../src-shared/threads/storage-thread.ts'
import { CONFIG_FILE } from '../../library/bundle.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import { imageFormat } from '../device-names.ts'
import { emptyDrive, type ForeignMachine } from '../foreign-machine.ts'
import { parseManifest, type ManifestLine } from '../ovf/manifest.ts'
import { orderProblems, packageMembers, sealRemarks, type PackageMembers } from '../ovf/package-members.ts'
import { parseOvf } from '../ovf/parse-ovf.ts'
import { shown } from '../text/remarks.ts'
import { parseUtm } from '../utm/parse-utm.ts'
import { parseVbox } from '../virtualbox/parse-vbox.ts'
import { parseVmx } from '../vmware/parse-vmx.ts'
import { archiveFiles, folderFiles, readText, type PackageFiles } from './package-files.ts'

/** What a manifest says of a file that is there. */
export interface SealedPart {
  part: FilePart
  line: ManifestLine
}

export interface MachinePackage {
  kind: Exclude<PackageKind, 'coppice'>
  /** The file, for sentences. */
  what: string
  /** At least one. */
  machines: ForeignMachine[]
  /** Of the package as a whole, as sentences. */
  remarks: string[]
  files: PackageFiles
  /** To be checked before anything of it is used. */
  sealed: SealedPart[]
}

export interface ChosenFile {
  kind: PackageKind
  /** Absolute: of the description, the archive or the image. */
  path: string
}

const UTM_FILE = 'config.plist'
const KINDS: Readonly<Record<string, PackageKind>> = {
  ...{ '.ova': 'ova', '.ovf': 'ovf', '.vmx': 'vmware', '.vbox': 'virtualbox', '.coppice': 'coppice' },
}

/**
 * By its name: what the file says of itself is checked when it is read.
 * @param path of a file, or of the folder of a machine
 * @throws AppError `not-found`, `invalid-input` for what is no machine
 */
export async function chooseFile(path: string): Promise<ChosenFile> {
  const stats = await stat(path).catch((error: unknown) => {
    throw asAppError(error, `Opening “${path}”`)
  })
  if (stats.isDirectory()) return inFolder(path)
  if (!stats.isFile()) throw new AppError('invalid-input', `“${path}” is neither a file nor a folder.`, { subject: path })
  if (basename(path) === UTM_FILE) return { kind: 'utm', path }
  if (basename(path) === CONFIG_FILE) throw ownBundle(dirname(path))
  if (extname(path).toLowerCase() === '.iso')
    throw new AppError('invalid-input', `“${path}” is a CD image, not a machine. Make a new machine from it.`, { subject: path })
  return { kind: KINDS[extname(path).toLowerCase()] ?? 'disk', path }
}

async function inFolder(folder: string): Promise<ChosenFile> {
  const names = await readdir(folder)
  if (names.includes(CONFIG_FILE)) throw ownBundle(folder)
  if (names.includes(UTM_FILE)) return { kind: 'utm', path: join(folder, UTM_FILE) }
  const found = names.filter((name) => ['.vmx', '.vbox', '.ovf'].includes(extname(name).toLowerCase()))
  if (found.length === 1) return { kind: KINDS[extname(found[0]!).toLowerCase()]!, path: join(folder, found[0]!) }
  throw new AppError(
    'invalid-input',
    found.length === 0
      ? `The folder “${folder}” has no machine that is known here (a file .ovf, .vmx, .vbox, or a bundle of UTM).`
      : `The folder “${folder}” has several machines (${shown(found.join(', '))}). Choose one of these files.`,
    { subject: folder },
  )
}

function ownBundle(folder: string): AppError {
  return new AppError('invalid-input', `“${folder}” is a machine of Coppice already. Open it instead of importing it.`, { subject: folder })
}

/** @throws AppError `corrupt`, `unsupported`, or why it cannot be read */
export async function openPackage({ kind, path }: ChosenFile, storage: SharedThread): Promise<MachinePackage> {
  const what = basename(path)
  switch (kind) {
    case 'ova': {
      const files = await archiveFiles(path, what, storage)
      return ovfPackage('ova', packageMembers(files.names, what), files, what, storage)
    }
    case 'ovf': {
      const files = await folderFiles(dirname(path))
      // The folder may have more packages than this one.
      const base = what.slice(0, -'.ovf'.length).toLowerCase()
      const mine = files.names.filter((name) => [`${base}.mf`, `${base}.cert`].includes(name.toLowerCase()))
      return ovfPackage('ovf', packageMembers([what, ...mine], what), files, what, storage)
    }
    case 'vmware':
    case 'virtualbox':
    case 'utm': {
      const files = await folderFiles(dirname(path))
      const text = await readText({ path, range: null }, storage)
      const parse = { vmware: parseVmx, virtualbox: parseVbox, utm: parseUtm }[kind]
      return { kind, what, machines: [parse(text, what)], remarks: [], files, sealed: [] }
    }
    case 'disk':
      return { kind, what, machines: [bareDisk(what)], remarks: [], files: await folderFiles(dirname(path)), sealed: [] }
    case 'coppice':
      throw new AppError('internal', 'An archive of a bundle is read elsewhere.')
  }
}

async function ovfPackage(
  kind: 'ova' | 'ovf',
  members: PackageMembers,
  files: PackageFiles,
  what: string,
  storage: SharedThread,
): Promise<MachinePackage> {
  const text = await readText((await files.part(members.descriptor))!, storage)
  const present = new Set(files.names)
  const { machines, files: listed } = parseOvf(text, members.descriptor, (name) => present.has(name))
  const manifest = members.manifest === null ? null : await files.part(members.manifest)
  const lines = manifest && parseManifest(await readText(manifest, storage), members.manifest!)
  const own = lines?.find(({ file }) => file === members.descriptor)
  if (own && createHash(own.kind).update(text).digest('hex') !== own.digest) throw notAsSealed(members.descriptor, what)
  const named = listed.flatMap(({ name }) => name ?? [])
  // In a folder only what the descriptor lists is of the package.
  const inPackage = kind === 'ova' ? members : { ...members, others: [...new Set(named)].filter((name) => present.has(name)) }
  const sealed: SealedPart[] = []
  for (const line of lines ?? []) {
    const part = line === own ? null : await files.part(line.file)
    if (part) sealed.push({ part, line })
  }
  const order = kind === 'ova' ? orderProblems(files.names, members, named) : []
  return { kind, what, machines, remarks: [...order, ...sealRemarks(inPackage, lines)], files, sealed }
}

export function notAsSealed(file: string, what: string): AppError {
  return new AppError(
    'corrupt',
    `“${shown(file)}” of ${what} is not what the package’s manifest says: it was damaged or changed. Copy or download the package again.`,
    { subject: what },
  )
}

/** A machine around a disk of which nothing else is known. */
function bareDisk(file: string): ForeignMachine {
  const format = imageFormat(null, file)
  // Images for QEMU and clouds have drivers for virtio; those of other products may not.
  const controller = format === 'qcow2' || format === 'raw' ? 'virtio' : null
  return {
    name: basename(file, extname(file)),
    notes: '',
    guest: { family: 'other', label: null },
    arch: null,
    firmware: 'bios',
    tpm: false,
    cpus: null,
    memoryMiB: null,
    drives: [{ ...emptyDrive('disk'), controller, file, format }],
    nics: [{ model: null, mac: null, network: null, connected: true }],
    serialPorts: 1,
    display: null,
    licences: [],
    unknown: ['Its hardware is not known: what is chosen here is usual. A system that was installed with UEFI needs UEFI here, too.'],
  }
}
