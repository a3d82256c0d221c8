/** A machine like another one: its own identity, its own copy of the disks, no memory state and no logs. */
import { join } from 'node:path'
import type { TaskStarted } from '../../../../src-shared/api/tasks.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { isAbsolutePath, parseMachineConfig, type Boot, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { randomMac } from '../../../../src-shared/model/mac.ts'
import { NO_VNC_EXPORT } from '../../../../src-shared/model/vnc.ts'
import { bundlePaths } from '../../library/bundle.ts'
import { pathsOf } from '../../planner/plan-files.ts'
import { fileFact } from '../../planner/probe-files.ts'
import { VARIABLES } from '../../planner/qemu-firmware.ts'
import type { TaskContext } from '../../tasks/task-service.ts'
import { placeCopy } from './boot-files.ts'
import { copyImage, hostName, takeDisk, type MakerParts } from './create-machine.ts'
import { inspectDisk } from './drive-formats.ts'
import { stageBundle } from './staging.ts'

export interface Original {
  id: string
  folder: string
  config: MachineConfig
}

/**
 * @param done called when the task has ended, however
 * @throws AppError `already-exists` (name)
 */
export function duplicateMachine(original: Original, name: string, parts: MakerParts, done: () => void): TaskStarted {
  const releaseName = parts.library.claimName(name)
  const title = `Duplicating “${original.config.name}” as “${name}”`
  return parts.tasks.start({ kind: 'duplicate-machine', title, machine: original.id }, async (context) => {
    try {
      const bundle = await stageBundle(parts.library, name, (staging) => fill(staging, original, name, parts, context))
      return { id: bundle.id }
    } finally {
      releaseName()
      done()
    }
  })
}

async function fill(staging: string, original: Original, name: string, parts: MakerParts, context: TaskContext): Promise<MachineConfig> {
  const { folder, config } = original
  const disks = new Map(config.drives.map((drive) => [drive.path, drive]))
  for (const path of new Set(pathsOf(config))) {
    if (isAbsolutePath(path)) continue
    if (context.signal.aborted) throw AppError.cancelled()
    const fact = await fileFact(folder, path)
    if (fact.kind !== 'file')
      throw new AppError('not-found', `“${path}” of “${config.name}” is not there, or not a file.`, { subject: fact.path })
    const target = join(staging, path)
    const disk = disks.get(path)
    // What snapshots froze below it comes along, as one file.
    if (disk?.kind === 'disk' && disk.format === 'qcow2')
      await takeDisk(await inspectDisk(fact.path, parts.storage), target, parts.storage, context)
    else if (disk) await copyImage(fact.path, target, parts.storage, context)
    else await placeCopy(fact.path, target)
  }
  await copyVariables(bundlePaths(folder).firmware, bundlePaths(staging).firmware)
  return withNewIdentity(config, name)
}

/** What a machine's UEFI knows to boot is on its disks, and goes with them; what its TPM keeps is its own. */
export async function copyVariables(fromFolder: string, toFolder: string): Promise<void> {
  for (const variables of Object.values(VARIABLES)) {
    const { kind, path } = await fileFact(fromFolder, variables)
    if (kind === 'file') await placeCopy(path, join(toFolder, variables))
  }
}

/**
 * Everything that tells a machine from its copy is new: id, name, MAC addresses, the host name that Coppice Linux is told.
 * Disks and CDs elsewhere (absolute paths) stay shared; the storage lock keeps two machines from writing one disk at once.
 */
export function withNewIdentity(config: MachineConfig, name: string): MachineConfig {
  return parseMachineConfig({
    ...config,
    id: newId(),
    created: new Date().toISOString(),
    point: null,
    run: null,
    template: false,
    whenOff: { ...config.whenOff, snapshot: null },
    name,
    // The password stays the original's.
    vncExport: NO_VNC_EXPORT,
    nics: config.nics.map((nic) => ({ ...nic, mac: randomMac() })),
    boot: withHostName(config.boot, name),
  })
}

/** What Coppice Linux is told to call itself; other systems know that by themselves. */
export function withHostName(boot: Boot, name: string): Boot {
  if (boot.kind !== 'kernel') return boot
  return { ...boot, cmdline: boot.cmdline.replace(/(^|\s)coppice\.hostname=\S*/, `$1coppice.hostname=${hostName(name)}`) }
}
