/** Planning a machine as it is now: which engine has it, and whether a configuration of it can run there. */
import { join } from 'node:path'
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { bundlePaths } from '../library/bundle.ts'
import type { Bundle } from '../library/identity.ts'
import { chooseEngine, type EngineChoice } from '../planner/choose-engine.ts'
import type { EngineFacts, EngineFactsSource } from '../planner/facts.ts'
import type { Bridges } from '../planner/plan-bridge.ts'
import { pathsOf } from '../planner/plan-files.ts'
import { planMachine, type Plan } from '../planner/plan-machine.ts'
import { fileFacts } from '../planner/probe-files.ts'
import { ownDisks } from '../snapshots/own-disks.ts'
import { readSnapshots } from '../snapshots/snapshot-files.ts'
import type { FirmwareFiles } from './running/firmware.ts'
import type { Machine, MachineParts } from './machine.ts'

/** For machines that bring their own, and for checks. */
const NO_FIRMWARE: FirmwareFiles = { bios: '', vgaBios: '' }

/** The engine whose memory state the machine goes on from. */
function suspendedOn({ suspended }: Bundle): 'embedded' | 'qemu' | null {
  return suspended?.record?.header.engine ?? null
}

/** What runs the machine with this configuration when it is started now. */
export function engineFor(bundle: Bundle, config: MachineConfig, facts: EngineFacts): EngineChoice {
  return chooseEngine(config, facts, suspendedOn(bundle))
}

/** Looks for the embedded engine's firmware only where that engine will run the machine. */
export async function planStart(machine: Machine, config: MachineConfig, { engines, firmware, bridges }: MachineParts): Promise<Plan> {
  const { engine } = engineFor(machine.bundle, config, engines.current)
  return plan(machine, config, engines, engine === 'embedded' ? await firmware.find() : NO_FIRMWARE, bridges())
}

/** What keeps this configuration from starting on this computer, its firmware aside; `engine`: what of it is that no engine can run it. */
export async function checkMachine(
  machine: Machine,
  config: MachineConfig,
  engines: EngineFactsSource,
): Promise<{ problems: FieldError[]; engine: FieldError[] }> {
  const { problems, choice } = await plan(machine, config, engines, NO_FIRMWARE)
  return { problems: problems ?? [], engine: choice.problems ?? [] }
}

/** Absolute paths. A snapshot that cannot be read keeps no machine from starting. */
async function frozenImages(bundle: string): Promise<Set<string>> {
  const snapshots = await readSnapshots(bundle).catch(() => [])
  return new Set(snapshots.flatMap(({ config }) => ownDisks(config).map(({ path }) => join(bundle, path))))
}

async function plan(
  { bundle, session }: Machine,
  config: MachineConfig,
  engines: EngineFactsSource,
  firmware: FirmwareFiles,
  bridges: Bridges = new Map(),
): Promise<Plan> {
  const files = await fileFacts(bundle.folder, pathsOf(config))
  const { logs: logFolder, firmware: firmwareFolder } = bundlePaths(bundle.folder)
  // The engine that has it, in mid-life.
  const runsOn = session?.spec?.engine ?? suspendedOn(bundle)
  const frozen = await frozenImages(bundle.folder)
  return planMachine(config, { ...engines.current, firmware, files, frozen, logFolder, firmwareFolder, bridges }, runsOn)
}
