/** What is said of a machine's hardware while somebody still chooses it. Pure. */
import type { EngineVerdict, HardwareVerdict } from '../../../src-shared/model/hardware-verdict.ts'
import { BUSES, CACHES } from '../../../src-shared/model/disk-bus.ts'
import { ARCHES, CONFIG_WORDS, NIC_MODELS, type Arch, type Drive, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { chooseEngine } from './choose-engine.ts'
import type { EngineFacts } from './facts.ts'
import { movable } from './movable.ts'

/** Where the machine is now; null for one that is not made yet. */
export interface Present {
  engine: 'embedded' | 'qemu'
  /** The engine whose memory state is in the bundle. */
  suspendedOn: 'embedded' | 'qemu' | null
}

/** @param archOf where the architecture follows from the rest: which it is for a choice; null where it is chosen itself */
export function consider(
  config: MachineConfig,
  facts: EngineFacts,
  present: Present | null,
  archOf: ((choice: MachineConfig) => Arch) | null = null,
): HardwareVerdict {
  const choice = chooseEngine(config, facts, present?.suspendedOn)
  const move = (to: 'embedded' | 'qemu'): EngineVerdict => {
    const verdict = movable(config, to, facts, present?.suspendedOn)
    return present === null || present.engine === to ? { ...verdict, changes: [] } : verdict
  }
  return {
    engine: choice.engine,
    version: choice.engine === 'qemu' && !choice.problems ? choice.fit.program.version : null,
    accelerator: choice.accelerator,
    why: choice.why,
    ...{ arch: config.arch, cpus: config.cpus, memoryMiB: config.memoryMiB },
    problems: choice.problems ?? [],
    engines: { embedded: move('embedded'), qemu: move('qemu') },
    refused: refusedOf(config, facts, archOf),
  }
}

function refusedOf(
  config: MachineConfig,
  facts: EngineFacts,
  archOf: ((choice: MachineConfig) => Arch) | null,
): HardwareVerdict['refused'] {
  const known = new Set(messagesOf(config, facts))
  const refused: HardwareVerdict['refused'] = {}
  for (const [field, value, candidate] of candidates(config)) {
    const whole = archOf && field !== 'arch' ? { ...candidate, arch: archOf(candidate) } : candidate
    const reasons = messagesOf(whole, facts).filter((message) => !known.has(message))
    if (reasons.length > 0) (refused[field] ??= {})[value] = reasons.join(' ')
  }
  return refused
}

function messagesOf(config: MachineConfig, facts: EngineFacts): string[] {
  return (chooseEngine(config, facts).problems ?? []).map(({ message }) => message)
}

/** Every choice among a few words: its field, its value, and the machine with it. */
function* candidates(config: MachineConfig): IterableIterator<[string, string, MachineConfig]> {
  for (const arch of ARCHES) yield ['arch', arch, { ...config, arch }]
  for (const firmware of CONFIG_WORDS.firmware) yield ['firmware', firmware, { ...config, firmware }]
  yield ['tpm', 'true', { ...config, tpm: true }]
  for (const devices of CONFIG_WORDS.devices) yield ['devices', devices, { ...config, devices }]
  for (const display of CONFIG_WORDS.display) yield ['display', display, { ...config, display }]
  for (const at of config.drives.keys()) {
    if (config.drives[at]!.kind !== 'disk') continue
    const withDrive = (change: Partial<Drive>): MachineConfig => ({
      ...config,
      drives: config.drives.map((drive, index) => (index === at ? { ...drive, ...change } : drive)),
    })
    for (const bus of BUSES) yield [`drives.${at}.bus`, bus, withDrive({ bus })]
    for (const cache of CACHES) yield [`drives.${at}.cache`, cache, withDrive({ cache })]
  }
  for (const at of config.nics.keys())
    for (const model of NIC_MODELS)
      yield [`nics.${at}.model`, model, { ...config, nics: config.nics.map((nic, index) => (index === at ? { ...nic, model } : nic)) }]
}
