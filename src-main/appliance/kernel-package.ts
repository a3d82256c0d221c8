/** Takes out of Debian's kernel package the kernel and the modules that Coppice Linux carries, with all that they depend on. */
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { collect, readDeb } from './deb.ts'
import { unxz } from './kernel-image.ts'
import { LIKELY_DEPENDENCIES, missingDependencies, moduleName, WANTED_MODULES, type ModuleFile } from './modules.ts'

export interface KernelParts {
  /** "6.1.0-50-686". */
  version: string
  kernel: Uint8Array
  /** By module name. */
  modules: Map<string, ModuleFile>
}

/** Largest kernel or module taken, bytes. */
const MAX_FILE = 64 * 1024 * 1024
/** Passes over the package until no dependency is missing: one where LIKELY_DEPENDENCIES is right. */
const MAX_PASSES = 4

/** @param onProgress fraction of a pass, from 0 to 1 */
export async function readKernelPackage(path: string, onProgress: (fraction: number) => void, signal?: AbortSignal): Promise<KernelParts> {
  const wanted = new Set<string>([...WANTED_MODULES, ...LIKELY_DEPENDENCIES])
  let kernel: Uint8Array | null = null
  let version = ''
  const modules = new Map<string, ModuleFile>()
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    await readDeb(path, {
      onEntry(entry) {
        if (entry.type !== 'file' || entry.size > MAX_FILE) return null
        const boot = /^\.\/boot\/vmlinuz-([\w.+~-]+)$/.exec(entry.name)
        if (boot && kernel === null) {
          version = boot[1]!
          return collect(entry, (data) => (kernel = data))
        }
        const file = /^\.\/(?:usr\/)?lib\/modules\/[^/]+\/((?:[\w.+-]+\/)+[\w.+-]+)$/.exec(entry.name)?.[1]
        const name = file === undefined ? null : moduleName(file)
        if (file === undefined || name === null || !wanted.has(name) || modules.has(name)) return null
        return collect(entry, (data) => modules.set(name, unpackModule(file, data)))
      },
      onProgress: (done, total) => onProgress(done / total),
      ...(signal ? { signal } : {}),
    })
    if (kernel === null) throw new AppError('corrupt', `The package ${path} has no kernel in it.`, { subject: path })
    const missing = missingDependencies(modules).filter((name) => !wanted.has(name))
    if (missing.length === 0) break
    for (const name of missing) wanted.add(name)
  }
  for (const name of unneeded(modules)) modules.delete(name)
  return { version, kernel: kernel!, modules }
}

/** Likely dependencies that nothing depends on in this kernel. */
function unneeded(modules: ReadonlyMap<string, ModuleFile>): string[] {
  const wanted = new Set<string>(WANTED_MODULES)
  const kept = new Map([...modules].filter(([name]) => wanted.has(name)))
  for (;;) {
    const missing = missingDependencies(kept).filter((name) => modules.has(name))
    if (missing.length === 0) break
    for (const name of missing) kept.set(name, modules.get(name)!)
  }
  return [...modules.keys()].filter((name) => !kept.has(name))
}

function unpackModule(path: string, data: Uint8Array): ModuleFile {
  const match = /^(.*\.ko)\.(xz|zst|gz)$/.exec(path)
  if (!match) return { path, data }
  return {
    path: match[1]!,
    data: match[2] === 'xz' ? unxz(data, MAX_FILE) : match[2] === 'zst' ? zstdDecompressSync(data) : gunzipSync(data),
  }
}
