/**
 * The second half of going back to a snapshot, which follows from what is on disk. Theory of operation: everything that the machine will have stands ready in
 * the bundle's folder `returning/` before machine.json is switched, with the configuration that it will have:
 *
 *     returning.json      the configuration, and what goes with it
 *     suspend/            its memory and the record of that, where the snapshot has them
 *     firmware/           what its firmware remembers, where the snapshot has it
 *
 * Once machine.json has that configuration, the machine is the new one; what still stands here is then switched in, by renames that can be done again. Where
 * it has another, nothing was begun. Either way the folder is gone before the machine starts, or has another snapshot taken.
 */
import { lstat, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { machineConfigSchema, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { syncFolder, writeFileAtomic } from '../../files/write-file-atomic.ts'
import { readJson } from '../files/read-json.ts'
import { bundlePaths, MAX_CONFIG_BYTES } from '../library/bundle.ts'
import { removeSuspended } from '../machines/suspend/suspended-state.ts'
import { switchFirmware } from './firmware-state.ts'
import { isInDisksFolder } from './own-disks.ts'

/** Bytes: a machine.json and a little. */
const MAX_BYTES = MAX_CONFIG_BYTES + 64 * 1024

const planSchema = z.strictObject({
  schema: z.literal(1),
  config: machineConfigSchema,
  memory: z.boolean(),
  firmware: z.boolean(),
  /** The machine's files of before, which nobody needs then. */
  gone: z.array(z.string()),
})
export type ReturnPlan = z.output<typeof planSchema>

export interface ReturnPaths {
  folder: string
  plan: string
  suspend: string
  firmware: string
}

export function returnPaths(bundle: string): ReturnPaths {
  const folder = join(bundle, 'returning')
  return { folder, plan: join(folder, 'returning.json'), suspend: join(folder, 'suspend'), firmware: join(folder, 'firmware') }
}

export async function writeReturnPlan(bundle: string, plan: ReturnPlan): Promise<void> {
  const { folder, plan: path } = returnPaths(bundle)
  await writeFileAtomic(path, `${JSON.stringify(plan, null, 2)}\n`)
  await syncFolder(folder)
}

/**
 * Ends what a host began that went back, by machine.json as it is. Of a machine that nobody runs or changes.
 * @returns whether something was there
 * @throws AppError the system's reason; to be called again
 */
export async function endReturning(bundle: string, config: MachineConfig): Promise<boolean> {
  const paths = returnPaths(bundle)
  const stats = await lstat(paths.folder).catch(() => null)
  if (!stats) return false
  const plan = stats.isDirectory() ? await readPlan(paths.plan) : null
  if (plan && isDeepStrictEqual(plan.config, asWritten(config))) await switchIn(bundle, plan)
  await rm(paths.folder, { recursive: true, force: true })
  return true
}

async function switchIn(bundle: string, plan: ReturnPlan): Promise<void> {
  const { suspend, firmware } = bundlePaths(bundle)
  const ready = returnPaths(bundle)
  if (!plan.memory) await removeSuspended(bundle)
  else if (await lstat(ready.suspend).catch(() => null)) {
    await removeSuspended(bundle)
    await rename(ready.suspend, suspend)
  }
  if (plan.firmware) await switchFirmware(ready.firmware, firmware)
  else await rm(firmware, { recursive: true, force: true })
  await syncFolder(bundle)
  const named = new Set(plan.config.drives.map(({ path }) => path))
  for (const path of plan.gone) if (isInDisksFolder(path) && !named.has(path)) await rm(join(bundle, path), { force: true })
}

/** Without fields that are not there. */
const asWritten = (config: MachineConfig): unknown => JSON.parse(JSON.stringify(config))

/** Null where it is not whole: then machine.json was not switched. */
async function readPlan(path: string): Promise<ReturnPlan | null> {
  const json = await readJson(path, MAX_BYTES).catch(() => null)
  return planSchema.safeParse(json).data ?? null
}
