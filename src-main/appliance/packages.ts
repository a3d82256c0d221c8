/**
 * Sets of downloaded packages, kept in the cache under `packages/<set>/` with their hashes, so that a change of our own recipe rebuilds
 * without the network. A set is fetched as a whole and replaced as a whole.
 */
import { mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { Apt, OWN_FILES, type DebianArch } from './apt.ts'
import { describeFile, isIntact, placeFolder, withWorkFolder, writeDurably } from './files.ts'

const fileName = z.string().regex(/^[^/\\\0]{1,255}$/)
const setSchema = z.strictObject({
  format: z.literal(2),
  /** The names that were asked for: a set of other ones is no use. */
  asked: z.array(z.string()),
  packages: z
    .array(
      z.strictObject({
        name: z.string(),
        version: z.string(),
        file: z.strictObject({ name: fileName, size: z.number().int().min(0), sha256: z.string() }),
      }),
    )
    .max(100),
})
type PackageSet = z.output<typeof setSchema>

/** A package on disk, verified. */
export interface LocalPackage {
  name: string
  version: string
  /** The .deb file, absolute. */
  path: string
}

export interface PackageRequest {
  cacheFolder: string
  /** The set's name in the cache: "linux-i386". */
  set: string
  arch: DebianArch
  /** Package names. A meta package (one that only depends on the real one) is named by `resolve`. */
  names: readonly string[]
  /** A meta package and the prefix of its dependency that is wanted instead. */
  meta?: { name: string; prefix: string }
  /** `fraction` of the whole request, from 0 to 1. */
  onProgress(step: string, fraction: number): void
  signal?: AbortSignal
}

/** The set from the cache where it is whole, else downloaded. */
export async function obtainPackages(request: PackageRequest): Promise<LocalPackage[]> {
  const folder = join(request.cacheFolder, 'packages', request.set)
  const kept = await readSet(folder, askedNames(request))
  const set = kept ?? (await fetchSet(request, folder))
  return set.packages.map(({ name, version, file }) => ({ name, version, path: join(folder, file.name) }))
}

function askedNames({ meta, names }: PackageRequest): string[] {
  return [...(meta ? [meta.name] : []), ...names]
}

async function readSet(folder: string, asked: readonly string[]): Promise<PackageSet | null> {
  let set: PackageSet
  try {
    set = setSchema.parse(JSON.parse(await readFile(join(folder, 'packages.json'), 'utf8')))
  } catch {
    return null // not there or not readable: both mean to fetch
  }
  if (set.asked.join('\n') !== asked.join('\n')) return null
  for (const { file } of set.packages) if (!(await isIntact(folder, file))) return null
  return set
}

async function fetchSet(request: PackageRequest, folder: string): Promise<PackageSet> {
  const { cacheFolder, arch, meta, onProgress, signal } = request
  return withWorkFolder(cacheFolder, async (work) => {
    const state = join(work, 'apt')
    const target = join(work, 'packages')
    await mkdir(state)
    await mkdir(target)
    const apt = new Apt(state, arch, signal)
    onProgress('Fetching Debian’s package lists', 0)
    const { complaint } = await apt.update()
    const asked = askedNames(request)
    const wanted = [...asked]
    try {
      if (meta) wanted[0] = await resolveMeta(apt, meta)
      const records = await apt.show(wanted)
      const step = meta ? 'Downloading Debian’s kernel and busybox' : 'Downloading the firmware'
      onProgress(step, 0.2)
      await apt.download(wanted, target, (fraction) => onProgress(step, 0.2 + 0.8 * fraction))
      const files = await readdir(target)
      const packages: PackageSet['packages'] = []
      for (const { name, version } of records) {
        const file = files.find((one) => one.startsWith(`${name}_`) && one.endsWith('.deb'))
        if (file === undefined) throw new AppError('unavailable', `Debian’s package ${name} was not downloaded. Try again.`)
        packages.push({ name, version, file: await describeFile(target, file) })
      }
      const set: PackageSet = { format: 2, asked, packages }
      await writeDurably(target, 'packages.json', JSON.stringify(set, null, 2))
      await placeFolder(target, folder)
      return set
    } catch (error) {
      // Where a package is missing, the lists that could not be fetched are the better explanation.
      if (complaint === null || !(error instanceof AppError) || error.code !== 'unavailable' || error.details.subject) throw error
      throw new AppError(
        'unavailable',
        `Debian’s package lists could not all be fetched, and what is needed (${wanted.join(', ')}) is not in those that were. Check the network and the system’s package sources, then try again. ${OWN_FILES}`,
        { technical: complaint },
        error,
      )
    }
  })
}

async function resolveMeta(apt: Apt, meta: { name: string; prefix: string }): Promise<string> {
  const [record] = await apt.show([meta.name])
  const real = record!.depends.find((name) => name.startsWith(meta.prefix))
  if (real === undefined) throw new AppError('unavailable', `Debian’s package ${meta.name} names no kernel package.`)
  return real
}
