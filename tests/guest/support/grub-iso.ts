/** GRUB's rescue CD, unmodified from Debian's package, fetched and cached as the product does with its own packages. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { collect, readDeb } from '../../../src-main/appliance/deb.ts'
import { obtainPackages } from '../../../src-main/appliance/packages.ts'
import { cacheFolder } from '../../../src-main/app/paths.ts'

const ISO = 'grub-rescue-cdrom.iso'

/** The ISO's path, or why it cannot be had. */
export async function grubIso(): Promise<{ path: string } | { missing: string }> {
  try {
    const [grub] = await obtainPackages({
      cacheFolder: cacheFolder(),
      set: 'grub-rescue-pc',
      arch: 'i386',
      names: ['grub-rescue-pc'],
      onProgress: () => {},
    })
    const folder = join(cacheFolder(), 'test', `grub-rescue-pc-${grub!.version.replaceAll(/[^\w.+-]/g, '_')}`)
    const path = join(folder, ISO)
    const cached = await readFile(path).catch(() => null)
    if (cached) return { path }
    let iso: Uint8Array | null = null
    await readDeb(grub!.path, {
      onEntry: (entry) => (entry.type === 'file' && entry.name.endsWith(`/${ISO}`) ? collect(entry, (data) => (iso = data)) : null),
    })
    if (!iso) return { missing: `The package grub-rescue-pc has no ${ISO} in it.` }
    await mkdir(folder, { recursive: true })
    await writeFile(path, iso)
    return { path }
  } catch (error) {
    return { missing: (error as Error).message }
  }
}
