/** Changing a machine's configuration, throwing machines away, and getting them back. */
import { mkdir, realpath, rename } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { AppError, asAppError, type FieldError } from '../../../../src-shared/errors/app-error.ts'
import { fieldErrors } from '../../../../src-shared/errors/field-errors.ts'
import type { HardwareVerdict } from '../../../../src-shared/model/hardware-verdict.ts'
import { machineConfigSchema, type MachineConfig, type MachinePatch } from '../../../../src-shared/model/machine.ts'
import { isEditable } from '../../../../src-shared/model/machine-state.ts'
import { bundlePaths, CONFIG_FILE, nameFromFolder } from '../../library/bundle.ts'
import { lockBundle } from '../../library/bundle-lock.ts'
import type { Bundle } from '../../library/identity.ts'
import type { Library } from '../../library/library.ts'
import { forgetTrashed, moveToTrash, trashedFrom, trashFolders } from '../../library/trash.ts'
import { noNetwork } from '../../networks/no-network.ts'
import { consider } from '../../planner/consider.ts'
import type { EngineFactsSource } from '../../planner/facts.ts'
import { withNewIdentity } from './duplicate-machine.ts'
import { changeLive } from '../running/live-change.ts'
import type { Machine } from '../machine.ts'
import { removeSuspended } from '../suspend/suspended-state.ts'
import { refuseTemplate } from './template.ts'
import { wrongState } from '../wrong-state.ts'

/** What the guest sees. */
export const HARDWARE = [
  ...['engine', 'arch', 'cpus', 'memoryMiB', 'firmware', 'tpm', 'devices', 'display', 'pointer'],
  ...['boot', 'drives', 'nics', 'serialPorts', 'sharedFolders'],
] as const satisfies (keyof MachineConfig)[]

/**
 * The configuration with a patch applied. Pure.
 * @throws AppError `invalid-input` with every wrong field
 */
export function applyPatch(config: MachineConfig, patch: MachinePatch): MachineConfig {
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
  const parsed = machineConfigSchema.safeParse({ ...config, ...given })
  if (parsed.success) return parsed.data
  throw AppError.invalid(fieldErrors(parsed.error))
}

/**
 * Applies a patch, renaming the bundle's folder with the machine where nothing uses it.
 * @param isNeeded whether other machines need files where they are
 * @param hasNetwork a card may stay in a network that is not there, but not be plugged into one
 * @throws AppError `invalid-input` (every wrong field), `wrong-state` (hardware that cannot change now, or is a template's), `already-exists` (name), and
 *   what keeps a machine that runs from changing
 */
export function updateMachine(
  machine: Machine,
  patch: MachinePatch,
  library: Library,
  signal: AbortSignal,
  isNeeded: () => Promise<boolean> = () => Promise.resolve(false),
  hasNetwork: (name: string) => boolean = () => true,
): Promise<void> {
  return machine.hold('being changed', async () => {
    const { bundle } = machine
    if (bundle.copy) return adoptCopy(bundle, bundle.copy, patch, library)
    if (!bundle.config) throw bundle.problem ?? wrongState('edit', bundle.name, 'broken')
    const next = applyPatch(bundle.config, patch)
    const unknown = unknownNetworks(bundle.config, next, hasNetwork)
    if (unknown.length > 0) throw AppError.invalid(unknown)
    if (next.template && !bundle.config.template && !isEditable(machine.state)) throw wrongState('template', bundle.name, machine.state)
    const changed = HARDWARE.filter((field) => !isDeepStrictEqual(next[field], bundle.config![field]))
    if (changed.length > 0) {
      if (next.template) refuseTemplate(bundle, 'its hardware stays as it is')
      if (!isEditable(machine.state) && !machine.session) throw wrongState('edit', bundle.name, machine.state)
      const { problems, engine } = await machine.check(next)
      // Where a card is plugged in is no matter of what it is, which may be one that this computer cannot give it.
      const checked = changed.filter((name) => name !== 'nics' || !isDeepStrictEqual(unplugged(next), unplugged(bundle.config!)))
      // Another engine must be able to run all of it; any other change answers for itself.
      const moved = changed.includes('engine')
      const isMine = (field: FieldError): boolean =>
        (moved && engine.some(({ path, message }) => path === field.path && message === field.message)) ||
        checked.some((name) => field.path === name || field.path.startsWith(`${name}.`))
      const mine = problems.filter(isMine)
      if (mine.length > 0) throw AppError.invalid(mine)
    }
    await withName(bundle, next.name, library, async () => {
      const save = async (): Promise<void> => {
        if (!isDeepStrictEqual(next, bundle.config)) await library.writeConfig(bundle.folder, next)
      }
      if (changed.length > 0 && machine.session) await changeLive(machine, next, save, signal)
      else await save()
      if (next.name !== bundle.name && isEditable(machine.state) && !(await isNeeded()))
        await library.renameFolder(bundle.folder, next.name)
    })
  })
}

/** Network cards without where they are plugged in. */
function unplugged({ nics }: MachineConfig): object[] {
  return nics.map(({ network: _, link: __, ...card }) => card)
}

function unknownNetworks(before: MachineConfig, next: MachineConfig, hasNetwork: (name: string) => boolean): FieldError[] {
  return next.nics.flatMap(({ id, network }, at) => {
    const was = before.nics.find((nic) => nic.id === id)?.network ?? null
    return network === null || network === was || hasNetwork(network) ? [] : [{ path: `nics.${at}.network`, message: noNetwork(network) }]
  })
}

/**
 * What would come of a patch's hardware.
 * @throws AppError `invalid-input` with every field that is wrong by itself
 */
export async function considerMachine(machine: Machine, patch: MachinePatch, engines: EngineFactsSource): Promise<HardwareVerdict> {
  const { bundle, state } = machine
  if (!bundle.config) throw bundle.problem ?? wrongState('edit', bundle.name, state)
  const next = applyPatch(bundle.config, patch)
  await engines.whenFound()
  return consider(next, engines.current, { engine: machine.view().engine, suspendedOn: bundle.suspended?.record?.header.engine ?? null })
}

/** A folder that was copied by hand becomes a machine of its own, by its new name. The memory state stays the original's. */
async function adoptCopy(bundle: Bundle, config: MachineConfig, patch: MachinePatch, library: Library): Promise<void> {
  if (patch.name === undefined) throw bundle.problem!
  const next = withNewIdentity(applyPatch(config, patch), patch.name)
  await withName(bundle, next.name, library, async () => {
    await removeSuspended(bundle.folder)
    await library.writeConfig(bundle.folder, next)
    await library.refresh(bundle.folder)
    await library.renameFolder(bundle.folder, next.name)
  })
}

async function withName(bundle: Bundle, name: string, library: Library, work: () => Promise<void>): Promise<void> {
  const release = name === bundle.name && !bundle.copy ? null : library.claimName(name, bundle.id)
  try {
    await work()
  } finally {
    release?.()
  }
}

/** Moves the bundle to the trash. @returns where it is then */
export function trashMachine(machine: Machine, library: Library): Promise<string> {
  return machine.hold('being moved to the trash', async () => {
    const { bundle, state } = machine
    if (machine.session) throw wrongState('trash', bundle.name, state)
    const path = bundlePaths(bundle.folder).lock
    // Another host may run it.
    const lock = await lockBundle(path, `“${bundle.name}”`)
    await lock.release(path)
    const trashedTo = await moveToTrash(bundle.folder, trashFolders(library.folder))
    await library.forget(bundle.folder)
    return trashedTo
  })
}

/** Puts a bundle from the trash back to where it was, or beside what is there now. */
export async function restoreMachine(trashedTo: string, library: Library): Promise<Bundle> {
  const from = await trashedFrom(resolve(trashedTo), trashFolders(library.folder))
  const inLibrary = dirname(from) === library.folder
  try {
    await mkdir(dirname(from), { recursive: true })
    const target = await library.freeFolder(nameFromFolder(from), dirname(from))
    await rename(trashedTo, target)
    await forgetTrashed(trashedTo)
    if (!inLibrary) return await library.open(target)
    await library.rescan()
    const bundle = library.at(target)
    if (!bundle) throw new AppError('not-found', `“${target}” is gone again.`, { subject: target })
    return bundle
  } catch (error) {
    throw asAppError(error, `Restoring “${basename(from)}”`)
  }
}

/** @param path of a bundle, or of the machine.json in one; links to it are followed once, now */
export async function openBundle(path: string, library: Library): Promise<Bundle> {
  const wish = resolve(path)
  const folder = basename(wish) === CONFIG_FILE ? dirname(wish) : wish
  try {
    const [real, root] = await Promise.all([realpath(folder), realpath(library.folder)])
    return await library.open(dirname(real) === root ? join(library.folder, basename(real)) : real)
  } catch (error) {
    throw asAppError(error, 'Opening the bundle')
  }
}
