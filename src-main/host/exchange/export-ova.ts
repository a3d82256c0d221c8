/** A machine as an OVA archive: descriptor, manifest, and its disks as compressed VMDKs. */
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'
import { storageThread, type PackMember } from '../../../src-shared/threads/storage-thread.ts'
import { storageJob } from '../images/storage-job.ts'
import { bundlePaths, resolveInBundle } from '../library/bundle.ts'
import type { TaskContext } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { describeForExport, type ExportedImage } from './export-machine.ts'
import { buildOvf } from './ovf/build-ovf.ts'
import { manifestLine } from './ovf/manifest.ts'
import { shown } from './text/remarks.ts'

type Disk = Extract<PackMember, { kind: 'disk' }>

export interface OvaPlan {
  members: PackMember[]
  /** What other products will not have, as sentences. */
  remarks: string[]
}

/**
 * @param bundle absolute
 * @param config what is exported: the machine's, or a snapshot's
 * @param base of the files' names in the archive
 * @throws AppError why a disk cannot be read
 */
export async function planOva(bundle: string, config: MachineConfig, base: string, storage: SharedThread): Promise<OvaPlan> {
  const images = new Map<string, ExportedImage>()
  const disks: Disk[] = []
  for (const { id, kind, path, format } of config.drives) {
    if (kind !== 'disk' || path === null || isNetworkAddress(path)) continue
    const image = { path: await resolveInBundle(bundle, path), format, folders: [bundlePaths(bundle).disks] }
    const info = await storage.use(({ rpc }) => rpc.service(storageThread).inspect(image))
    if (info.problem !== null) throw new AppError('corrupt', `The disk “${shown(path)}” cannot be exported: ${info.problem}`)
    const file = `${base}-disk${disks.length + 1}.vmdk`
    images.set(id, { file, format: 'vmdk', capacity: info.size })
    disks.push({ kind: 'disk', name: file, image: { ...image, path: info.path } })
  }
  const placeholders = new Map(disks.map(({ name }) => [name, `{${newId()}}`]))
  const { xml, losses } = buildOvf(describeForExport(config, images), placeholders)
  const descriptor = `${base}.ovf`
  const sealed = [descriptor, ...disks.map(({ name }) => name)].map((name) => ({ name, digest: `{${newId()}}` }))
  return {
    remarks: losses,
    members: [
      {
        kind: 'text',
        name: descriptor,
        text: xml,
        values: Object.fromEntries([...placeholders].map(([of, placeholder]) => [placeholder, { tell: 'size' as const, of }])),
      },
      {
        kind: 'text',
        name: `${base}.mf`,
        text: sealed.map(({ name, digest }) => manifestLine(name, 'sha256', digest)).join(''),
        values: Object.fromEntries(sealed.map(({ name, digest }) => [digest, { tell: 'digest' as const, of: name }])),
      },
      ...disks,
    ],
  }
}

/** @returns bytes of the archive @throws AppError as storageThread.pack */
export function writeOva(
  { members }: OvaPlan,
  to: { path: string; replace: boolean },
  storage: SharedThread,
  context: TaskContext,
): Promise<{ bytes: number }> {
  context.step('Packing the disks')
  return storageJob(storage, context, (calls, job, options) => calls.pack({ job, ...to, members }, options))
}

/** A plain name that every product takes in a URI reference, too. */
export function packageBase(name: string): string {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
  return plain.slice(0, 60) || 'machine'
}
