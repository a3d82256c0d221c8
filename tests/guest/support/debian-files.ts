/** Files out of Debian's packages, unmodified, fetched, unpacked and cached as the product does with its own packages. */
import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianArch } from '../../../src-main/appliance/apt.ts'
import { collect, readDeb } from '../../../src-main/appliance/deb.ts'
import { placeFolder, withWorkFolder, writeDurably } from '../../../src-main/appliance/files.ts'
import { obtainPackages } from '../../../src-main/appliance/packages.ts'
import { cacheFolder } from '../../../src-main/app/paths.ts'

export interface Wanted<Name extends string> {
  package: string
  /** Whose package lists are asked. */
  arch: DebianArch
  /** What each file is called here, and how its path in the package ends. */
  files: Readonly<Record<Name, string>>
}

/** Where each file is, or why they cannot be had. */
export type Obtained<Name extends string> = { paths: Record<Name, string> } | { missing: string }

export async function debianFiles<Name extends string>(wanted: Wanted<Name>): Promise<Obtained<Name>> {
  try {
    const [found] = await obtainPackages({
      cacheFolder: cacheFolder(),
      set: wanted.package,
      arch: wanted.arch,
      names: [wanted.package],
      onProgress: () => {},
    })
    const names = Object.keys(wanted.files) as Name[]
    const version = found!.version.replaceAll(/[^\w.+-]/g, '_')
    const folder = join(cacheFolder(), 'test', `${wanted.package}-${version}-${names.join('-')}`)
    const paths = Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Record<Name, string>
    if (!(await isThere(folder))) await unpack(found!.path, wanted.files, folder)
    return { paths }
  } catch (error) {
    return { missing: (error as Error).message }
  }
}

async function unpack(deb: string, files: Readonly<Record<string, string>>, folder: string): Promise<void> {
  await withWorkFolder(cacheFolder(), async (work) => {
    const fresh = join(work, 'files')
    await mkdir(fresh)
    const found = new Map<string, Uint8Array>()
    await readDeb(deb, {
      onEntry: (entry) => {
        const name = Object.keys(files).find((one) => entry.type === 'file' && entry.name.endsWith(files[one]!))
        return name === undefined ? null : collect(entry, (data) => found.set(name, data))
      },
    })
    for (const [name, path] of Object.entries(files)) {
      const data = found.get(name)
      if (!data) throw new Error(`The package ${deb} has no ${path} in it.`)
      await writeDurably(fresh, name, data)
    }
    await placeFolder(fresh, folder)
  })
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
