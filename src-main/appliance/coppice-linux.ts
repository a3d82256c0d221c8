/**
 * Coppice Linux: a kernel and an initramfs, from the cache or built.
 *
 * The cache has `appliances/<hash>/{kernel,initrd.img,manifest.json}`; the hash covers our recipe, our files and the versions of
 * Debian's packages. A built appliance is used as long as its recipe is the current one, without asking apt for newer packages.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { Appliance } from '../../src-shared/threads/appliance-thread.ts'
import { collect, readDeb } from './deb.ts'
import { isIntact, placeFolder, withWorkFolder, writeDurably } from './files.ts'
import { buildInitramfs } from './initramfs.ts'
import { unpackKernel } from './kernel-image.ts'
import { readKernelPackage } from './kernel-package.ts'
import { obtainPackages, type LocalPackage } from './packages.ts'
import { readOverlay, recipeKey, RECIPES, type Arch, type Overlay } from './recipe.ts'

export interface ApplianceRequest {
  arch: Arch
  cacheFolder: string
  /** The resources folder, for our own files of the guest. */
  resources: string
  /** `done` of `total` steps; only grows. */
  onProgress(step: string, done: number, total: number): void
  signal?: AbortSignal
}

const KERNEL = 'kernel'
const INITRD = 'initrd.img'
/** Progress is told in percent. */
const TOTAL = 100
const DOWNLOADED = 60

const file = (name: string): z.ZodType<{ name: string; size: number; sha256: string }> =>
  z.strictObject({ name: z.literal(name), size: z.number().int().min(1), sha256: z.string() })
const manifestSchema = z.strictObject({
  format: z.literal(1),
  recipe: z.string(),
  arch: z.enum(['i386', 'x86_64']),
  kernelVersion: z.string(),
  cmdline: z.string(),
  packages: z.array(z.strictObject({ name: z.string(), version: z.string() })),
  builtAt: z.string(),
  kernel: file(KERNEL),
  initrd: file(INITRD),
})
type Manifest = z.output<typeof manifestSchema>

/** Answers in milliseconds from the cache, else builds (about 10 s and 55 to 71 MB of download). */
export async function coppiceLinux(request: ApplianceRequest): Promise<Appliance> {
  const overlay = await readOverlay(request.resources)
  const recipe = recipeKey(request.arch, overlay)
  return (await findCached(request, recipe)) ?? (await build(request, recipe, overlay))
}

async function findCached({ cacheFolder, arch }: ApplianceRequest, recipe: string): Promise<Appliance | null> {
  const all = join(cacheFolder, 'appliances')
  const hashes = await readdir(all).catch(() => [])
  const found: { hash: string; manifest: Manifest }[] = []
  for (const hash of hashes) {
    const manifest = await readManifest(join(all, hash))
    if (manifest?.recipe === recipe && manifest.arch === arch) found.push({ hash, manifest })
  }
  found.sort((a, b) => (a.manifest.builtAt < b.manifest.builtAt ? 1 : -1))
  for (const { hash, manifest } of found) {
    const folder = join(all, hash)
    if ((await isIntact(folder, manifest.kernel)) && (await isIntact(folder, manifest.initrd))) return describe(folder, hash, manifest)
    await rm(folder, { recursive: true, force: true })
  }
  return null
}

async function readManifest(folder: string): Promise<Manifest | null> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')))
  } catch {
    return null // not an appliance, or not a whole one
  }
}

function describe(folder: string, hash: string, { arch, cmdline, kernelVersion }: Manifest): Appliance {
  return { hash, kernel: join(folder, KERNEL), initrd: join(folder, INITRD), cmdline, kernelVersion, arch }
}

async function build(request: ApplianceRequest, recipe: string, overlay: Overlay): Promise<Appliance> {
  const { arch, cacheFolder, signal } = request
  const { debianArch, kernelMeta, unpacked, packages: names, cmdline } = RECIPES[arch]
  let told = 0
  const progress = (step: string, done: number): void => request.onProgress(step, (told = Math.max(told, Math.round(done))), TOTAL)
  const options = signal ? { signal } : {}

  const packages = await obtainPackages({
    cacheFolder,
    set: `linux-${debianArch}`,
    arch: debianArch,
    names,
    meta: kernelMeta,
    onProgress: (step, fraction) => progress(step, fraction * DOWNLOADED),
    ...options,
  })
  const [kernelPackage, busyboxPackage] = packages as [LocalPackage, LocalPackage]
  const unpacking = 'Unpacking the kernel'
  progress(unpacking, DOWNLOADED)
  const kernel = await readKernelPackage(
    kernelPackage.path,
    (fraction) => progress(unpacking, DOWNLOADED + fraction * (TOTAL - 5 - DOWNLOADED)),
    signal,
  )
  const busybox = await readBusybox(busyboxPackage.path, signal)
  progress('Putting Coppice Linux together', TOTAL - 5)
  const initrd = buildInitramfs({ busybox, kernel, overlay })
  signal?.throwIfAborted()

  return withWorkFolder(cacheFolder, async (work) => {
    const folder = join(work, 'appliance')
    await mkdir(folder)
    const versions = packages.map(({ name, version }) => ({ name, version }))
    const manifest: Manifest = {
      format: 1,
      recipe,
      arch,
      kernelVersion: kernel.version,
      cmdline,
      packages: versions,
      builtAt: new Date().toISOString(),
      kernel: await writeDurably(folder, KERNEL, unpacked ? unpackKernel(kernel.kernel) : kernel.kernel),
      initrd: await writeDurably(folder, INITRD, initrd),
    }
    await writeDurably(folder, 'manifest.json', JSON.stringify(manifest, null, 2))
    const hash = createHash('sha256')
      .update(JSON.stringify([recipe, versions]))
      .digest('hex')
      .slice(0, 32)
    const target = join(cacheFolder, 'appliances', hash)
    await placeFolder(folder, target)
    progress('Coppice Linux is ready', TOTAL)
    return describe(target, hash, manifest)
  })
}

async function readBusybox(path: string, signal?: AbortSignal): Promise<Uint8Array> {
  let busybox: Uint8Array | null = null
  await readDeb(path, {
    onEntry: (entry) =>
      /^\.\/(?:usr\/)?bin\/busybox$/.test(entry.name) && entry.type === 'file' ? collect(entry, (data) => (busybox = data)) : null,
    ...(signal ? { signal } : {}),
  })
  if (busybox === null) throw new AppError('corrupt', `The package ${path} has no busybox in it.`, { subject: path })
  return busybox
}
