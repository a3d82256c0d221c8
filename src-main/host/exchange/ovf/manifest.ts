/**
 * Manifest of an OVF package: a digest of each file (DSP0243 1.1, section 5.1; 2.1, section 6.1 adds SHA512): "SHA256(disk1.vmdk)= 9f86…".
 * The certificate signs the manifest; its signature is not checked here, and whoever shows the package says so.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { decodeText } from '../text/decode-text.ts'
import { plainName } from '../text/file-reference.ts'
import { shown } from '../text/remarks.ts'

export const MAX_MANIFEST_BYTES = 256 * 1024
export const MAX_MANIFEST_LINES = 4096

/** As Node's crypto names them. */
export type DigestKind = 'sha1' | 'sha256' | 'sha512'

export interface ManifestLine {
  file: string
  kind: DigestKind
  /** Lower-case hexadecimal. */
  digest: string
}

const DIGITS: Record<DigestKind, number> = { sha1: 40, sha256: 64, sha512: 128 }

/**
 * @param what the file, for sentences: "debian.mf"
 * @throws AppError `corrupt` with the line; `unsupported` past a limit or for another digest
 */
export function parseManifest(bytes: Uint8Array, what: string): ManifestLine[] {
  const limit = (is: string): AppError => new AppError('unsupported', `${what} ${is}.`, { subject: what })
  if (bytes.length > MAX_MANIFEST_BYTES) throw limit(`has more than ${MAX_MANIFEST_BYTES / 1024} KiB, too much for a manifest`)
  const found = new Map<string, ManifestLine>()
  const lines = decodeText(bytes, 'utf-8', what).split(/\r\n|\n|\r/)
  if (lines.length > MAX_MANIFEST_LINES) throw limit(`has more than ${MAX_MANIFEST_LINES} lines`)
  lines.forEach((line, index) => {
    if (line.trim() === '') return
    const bad = (is: string): AppError => new AppError('corrupt', `${what}, line ${index + 1}: ${is}.`, { subject: what })
    // OpenSSL writes a space before the bracket, others none.
    const parts = /^\s*([A-Za-z0-9-]+)\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)\s*$/.exec(line)
    if (parts === null) throw bad('it is no digest of a file')
    const kind = parts[1]!.toLowerCase().replace('-', '')
    if (!isDigestKind(kind)) throw limit(`uses digests that are not known here (${shown(parts[1]!)})`)
    if (parts[3]!.length !== DIGITS[kind]) throw bad(`the digest has ${parts[3]!.length} digits instead of ${DIGITS[kind]}`)
    const file = plainName(parts[2]!)
    if (file === null) throw bad(`“${shown(parts[2]!)}” is not a file beside it`)
    const entry = { file, kind, digest: parts[3]!.toLowerCase() }
    const before = found.get(file)
    // The same file by two kinds of digest: the stronger one counts. By one kind, twice: they must agree.
    if (before?.kind === kind && before.digest !== entry.digest) throw bad(`“${shown(file)}” has two different digests`)
    if (before === undefined || DIGITS[before.kind] < DIGITS[kind]) found.set(file, entry)
  })
  return [...found.values()]
}

function isDigestKind(kind: string): kind is DigestKind {
  return Object.hasOwn(DIGITS, kind)
}

/** @throws AppError `invalid-input` for a name or digest that a manifest cannot hold */
export function buildManifest(lines: readonly ManifestLine[]): string {
  return lines
    .map(({ file, kind, digest }) => {
      if (plainName(file) !== file || !new RegExp(`^[0-9a-f]{${DIGITS[kind]}}$`).test(digest))
        throw AppError.invalid([{ path: 'file', message: `“${shown(file)}” cannot stand in a manifest.` }])
      return manifestLine(file, kind, digest)
    })
    .join('')
}

/** @param digest the digits, or what stands for them until they are known */
export function manifestLine(file: string, kind: DigestKind, digest: string): string {
  return `${kind.toUpperCase()}(${file})= ${digest}\n`
}

export interface ManifestCoverage {
  /** In the manifest, and not in the package. */
  missing: string[]
  /** In the package, and not in the manifest: their contents are not assured. */
  extra: string[]
}

/** @param files the names in the package, without manifest and certificate */
export function compareManifest(lines: readonly ManifestLine[], files: readonly string[]): ManifestCoverage {
  const present = new Set(files)
  const listed = new Set(lines.map((line) => line.file))
  return { missing: [...listed].filter((file) => !present.has(file)), extra: files.filter((file) => !listed.has(file)) }
}
