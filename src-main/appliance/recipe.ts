/** What Coppice Linux is made of: packages, kernel command line, and our own files from `resources/guest/coppice-linux`. */
import { createHash } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { Appliance } from '../../src-shared/threads/appliance-thread.ts'
import type { DebianArch } from './apt.ts'
import { LIKELY_DEPENDENCIES, WANTED_MODULES } from './modules.ts'

/** Raise when the way of assembling changes, so that cached appliances are built anew. */
const RECIPE_VERSION = 2

export type Arch = Appliance['arch']

export interface Recipe {
  debianArch: DebianArch
  /** Depends on the kernel's real package, whose name has the version in it. */
  kernelMeta: { name: string; prefix: string }
  /** Whether the kernel is stored unpacked: QEMU starts such a one faster; the embedded engine takes packed ones only. */
  unpacked: boolean
  packages: readonly string[]
  cmdline: string
}

const common = {
  packages: ['busybox-static'],
  cmdline: [
    // The last console is /dev/console. Warnings of the start go to the kernel's log only (init raises the level again).
    'console=tty0 console=ttyS0 quiet loglevel=3',
    // For boot speed on an emulated processor: no TSC calibration runs, no slow paths for processors' faults (the guest is not where
    // secrets are kept apart), no waiting for entropy, no search for ISA cards, no self-tests of the cryptographic library.
    'tsc=reliable mitigations=off random.trust_cpu=on noisapnp cryptomgr.notests initcall_blacklist=crypto_kdf108_init',
    // A busy computer can be late with an emulated timer's first ticks, upon which the kernel would panic.
    'no_timer_check',
  ].join(' '),
}

export const RECIPES: Record<Arch, Recipe> = {
  i386: { ...common, debianArch: 'i386', kernelMeta: { name: 'linux-image-686', prefix: 'linux-image-' }, unpacked: false },
  x86_64: { ...common, debianArch: 'amd64', kernelMeta: { name: 'linux-image-amd64', prefix: 'linux-image-' }, unpacked: true },
}

/** Our files for the guest: path inside it to contents. */
export type Overlay = ReadonlyMap<string, Uint8Array>

/** @param resources the resources folder */
export async function readOverlay(resources: string): Promise<Overlay> {
  const root = join(resources, 'guest', 'coppice-linux')
  const files = new Map<string, Uint8Array>()
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(relative(root, path).split(sep).join('/'), await readFile(path))
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Changes with everything of ours that goes into an appliance; Debian's package versions are hashed on top of it. */
export function recipeKey(arch: Arch, overlay: Overlay): string {
  const hash = createHash('sha256')
  hash.update(JSON.stringify([RECIPE_VERSION, arch, RECIPES[arch], WANTED_MODULES, LIKELY_DEPENDENCIES]))
  for (const [path, data] of overlay) hash.update(`\0${path}\0${data.length}\0`).update(data)
  return hash.digest('hex')
}
