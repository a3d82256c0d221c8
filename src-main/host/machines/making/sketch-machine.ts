/** New machines before they are made: what they would be, and what is said of them while somebody still chooses. */
import type { z } from 'zod'
import type { newHardwareSchema, newMachineSchema } from '../../../../src-shared/api/machines.ts'
import { newId } from '../../../../src-shared/base/ids.ts'
import type { HardwareVerdict } from '../../../../src-shared/model/hardware-verdict.ts'
import {
  ARCHES,
  CPUS,
  isAbsolutePath,
  MACHINE_SCHEMA,
  parseMachineConfig,
  type Arch,
  type Boot,
  type Drive,
  type MachineConfig,
  type Nic,
} from '../../../../src-shared/model/machine.ts'
import { randomMac } from '../../../../src-shared/model/mac.ts'
import { isNetworkAddress } from '../../../../src-shared/model/network-disk.ts'
import { chooseArch } from '../../planner/choose-arch.ts'
import { chooseEngine } from '../../planner/choose-engine.ts'
import { consider } from '../../planner/consider.ts'
import type { EngineFacts, EngineFactsSource } from '../../planner/facts.ts'
import type { FileFact } from '../../planner/file-fact.ts'
import { enoughForKernel, pathsOf } from '../../planner/plan-files.ts'
import { fileFacts } from '../../planner/probe-files.ts'

export type NewMachineRequest = z.output<typeof newMachineSchema>

export interface SketchParts {
  engines: EngineFactsSource
  /** MiB for machines that ask for none. */
  defaultMemoryMiB: () => number
}

/** MiB and processors for whole systems on QEMU, where this computer can spare them: what desktop systems' installers ask for at least. */
const LARGE = { memoryMiB: 2048, cpus: 2 }
/** The part of this computer that one machine takes unasked. */
const SHARE = 1 / 4

/** What is said of a machine that somebody is about to make. */
export async function considerNew({ source, ...wish }: z.output<typeof newHardwareSchema>, parts: SketchParts): Promise<HardwareVerdict> {
  // Which file it is makes no difference, but for a kernel.
  const file = source.kernel ?? '/'
  const from: NewMachineRequest['source'] =
    source.kind === 'sample'
      ? { kind: 'sample' }
      : source.kind === 'kernel'
        ? { kind: 'kernel', kernel: file, initrd: null, cmdline: '' }
        : source.kind === 'disk'
          ? { kind: 'disk', path: file, copy: true }
          : { kind: source.kind, path: file }
  await parts.engines.whenFound()
  const { sketch, archOf } = await sketchNew(
    { ...wish, name: 'new', source: from, sharedFolders: [], folder: [], disks: [], networks: [], start: false },
    parts,
  )
  const verdict = consider(sketch, parts.engines.current, null, wish.arch === undefined ? archOf : null)
  if (source.kind !== 'sample') return verdict
  const arches = ARCHES.filter((arch) => !isSampleArch(arch)).map((arch): [string, string] => [arch, notSample(arch)])
  return { ...verdict, refused: { ...verdict.refused, arch: { ...verdict.refused['arch'], ...Object.fromEntries(arches) } } }
}

/**
 * The machine as it would be, and what was found of its files where they are. `archOf`: which architecture one like it gets that wishes none.
 * @throws AppError `invalid-input`
 */
export async function sketchNew(
  request: NewMachineRequest,
  { engines, defaultMemoryMiB }: SketchParts,
): Promise<{ sketch: MachineConfig; files: ReadonlyMap<string, FileFact>; archOf: (like: MachineConfig) => Arch }> {
  const wish = sketchOf(request, defaultMemoryMiB())
  if (wish.engine !== 'embedded') await engines.whenFound()
  // Disks that are still to be made are nowhere yet.
  const files = await fileFacts('/', pathsOf(wish).filter(isAbsolutePath))
  const kernel64 = request.source.kind === 'kernel' && files.get(request.source.kernel)?.kernel64
  const enough = request.memoryMiB === undefined ? enoughFor(wish.boot, files) : 0
  const archOf = (like: MachineConfig): Arch => chooseArch(like, engines.current, kernel64)
  const sketch = { ...wish, arch: request.arch ?? archOf(wish), memoryMiB: Math.max(wish.memoryMiB, enough) }
  return { sketch: { ...sketch, ...sizeOf(request, sketch, engines.current) }, files, archOf }
}

/** MiB, of which nobody said how much. */
function enoughFor(boot: Boot, files: ReadonlyMap<string, FileFact>): number {
  if (boot.kind !== 'kernel') return 0
  const kernel = files.get(boot.kernel)
  const initrd = boot.initrd === null ? null : (files.get(boot.initrd) ?? null)
  return kernel ? enoughForKernel({ kernel, initrd, cmdline: boot.cmdline }) : 0
}

/** Memory and processors that nobody wished. */
function sizeOf({ source, memoryMiB, cpus }: NewMachineRequest, sketch: MachineConfig, facts: EngineFacts): Partial<MachineConfig> {
  const { engine, accelerator } = chooseEngine(sketch, facts)
  if (engine !== 'qemu' || (source.kind !== 'iso' && source.kind !== 'disk')) return {}
  const { computer } = facts
  const spare = Math.floor(computer.memoryMiB * SHARE)
  const fast = accelerator !== null && accelerator !== 'tcg'
  return {
    ...(memoryMiB === undefined ? { memoryMiB: Math.max(sketch.memoryMiB, Math.min(LARGE.memoryMiB, spare)) } : {}),
    ...(cpus === undefined && fast && computer.cpus * SHARE >= 1 ? { cpus: LARGE.cpus } : {}),
  }
}

export function notSample(arch: Arch): string {
  return `Coppice Linux is made for ${SAMPLE_ARCHES.join(' and ')}, not for ${arch}.`
}

const SAMPLE_ARCHES = ['i386', 'x86_64'] as const
export type SampleArch = (typeof SAMPLE_ARCHES)[number]

export function isSampleArch(arch: Arch): arch is SampleArch {
  return SAMPLE_ARCHES.some((one) => one === arch)
}

/** The machine as it would be if it used the source's files where they are. */
function sketchOf(request: NewMachineRequest, defaultMemoryMiB: number): MachineConfig {
  const { source, name, serialPorts, sharedFolders, engine } = request
  const boot: Boot =
    source.kind === 'kernel'
      ? { kind: 'kernel', kernel: source.kernel, initrd: source.initrd, cmdline: source.cmdline }
      : bootFrom('disk', 'cdrom', 'floppy')
  const kind = source.kind === 'iso' ? 'cdrom' : source.kind === 'floppy' ? 'floppy' : 'disk'
  const readOnly = source.kind === 'iso' || (source.kind === 'disk' && source.copy)
  return parseMachineConfig({
    schema: MACHINE_SCHEMA,
    id: newId(),
    created: new Date().toISOString(),
    name,
    engine,
    boot,
    drives: [...('path' in source ? [drive('source', kind, source.path, readOnly)] : []), ...moreDisks(request)],
    ...chosen(request),
    nics: newNics(request),
    serialPorts,
    sharedFolders,
    cpus: request.cpus ?? CPUS.default,
    memoryMiB: request.memoryMiB ?? defaultMemoryMiB,
  })
}

/** One for each network. */
export function newNics({ source, networks }: Pick<NewMachineRequest, 'source' | 'networks'>): Nic[] {
  const model = source.kind === 'floppy' ? 'ne2k' : 'virtio'
  return networks.map((network, at) => ({ id: `nic${at}`, model, mac: randomMac(), link: 'auto', network }))
}

/** Those beside the source's own, in the order of the request. */
function moreDisks({ newDiskBytes, disks }: Pick<NewMachineRequest, 'newDiskBytes' | 'disks'>): Drive[] {
  const paths = disks.map((disk) => (disk.kind === 'new' ? NOT_MADE : disk.path))
  // What is copied is only read.
  return [...(newDiskBytes === undefined ? [] : [NOT_MADE]), ...paths].map((path, at) =>
    drive(`more${at}`, 'disk', path, path !== NOT_MADE && !isNetworkAddress(path)),
  )
}

const NOT_MADE = 'disks/new'

/** Systems that come on a floppy know no virtio. */
function chosen({ source, firmware, tpm, devices }: NewMachineRequest): Pick<MachineConfig, 'firmware' | 'tpm' | 'devices'> {
  return { firmware: firmware ?? 'bios', tpm: tpm ?? false, devices: devices ?? (source.kind === 'floppy' ? 'legacy' : 'auto') }
}

export function bootFrom(...order: ('disk' | 'cdrom' | 'floppy')[]): Boot {
  return { kind: 'firmware', order }
}

export function drive(id: string, kind: Drive['kind'], path: string, readOnly = false): Drive {
  return { id, kind, path, format: 'raw', readOnly, limits: null }
}
