/** Puts a machine of a package into the folder of one that is being made. */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { MachineConfig } from '../../../../src-shared/model/machine.ts'
import { storageThread } from '../../../../src-shared/threads/storage-thread.ts'
import { storageJob } from '../../images/storage-job.ts'
import type { TaskContext } from '../../tasks/task-service.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import { shown } from '../text/remarks.ts'
import { importedConfig, type ImportPlan } from './offer-machine.ts'
import { notAsSealed, type MachinePackage } from './open-package.ts'

/**
 * Checks the whole package against its manifest first: nothing is made of what was damaged or changed.
 * @returns the configuration
 * @throws AppError `corrupt`, `no-space`, `cancelled`, or what else a file or an image fails with
 */
export async function fillFromPackage(
  staging: string,
  { what, sealed }: MachinePackage,
  plan: ImportPlan,
  name: string,
  storage: SharedThread,
  context: TaskContext,
): Promise<MachineConfig> {
  const { progress } = context
  for (const { part, line } of sealed) {
    context.step(`Checking “${shown(line.file)}”`)
    const { digest } = await storageJob(storage, context, (calls, job, options) => calls.digest({ job, part, kind: line.kind }, options))
    if (digest !== line.digest) throw notAsSealed(line.file, what)
  }
  // All drives are one piece of work.
  const total = plan.drives.reduce((sum, { source }) => sum + (source.kind === 'image' ? source.size : 0), 0)
  let before = 0
  for (const { drive, source, path, format } of plan.drives) {
    if (path === null || source.kind === 'empty') continue
    const to = join(staging, path)
    await mkdir(dirname(to), { recursive: true })
    if (source.kind === 'new') {
      await storage.use(({ rpc }) => rpc.service(storageThread).create({ path: to, format, size: source.size, backing: null }))
      continue
    }
    context.step(`Converting “${shown(drive.source.file ?? drive.id)}”`)
    const { image, size } = source
    const whole = { ...context, progress: (done: number) => progress(before + done, total, 'bytes') }
    await storageJob(storage, whole, (calls, job, options) => calls.take({ job, image, to: { path: to, format } }, options))
    before += size
  }
  context.step('Writing the machine')
  context.signal.throwIfAborted()
  return importedConfig(plan, name)
}
