/**
 * Which engine runs a machine, and why. Pure. Left to Coppice, it is QEMU with an accelerator that really works; else the embedded engine for
 * the 32-bit PCs that it can run, whose guests are isolated better and start at once; else QEMU in software.
 */
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Accelerator } from '../../../src-shared/model/machine-spec.ts'
import { embeddedProblems } from './embedded-fit.ts'
import type { EngineFacts } from './facts.ts'
import { fitQemu, type QemuFit } from './qemu-fit.ts'

export type EngineChoice =
  | { engine: 'embedded'; accelerator: null; why: string; problems: null }
  | { engine: 'qemu'; accelerator: Accelerator; why: string; problems: null; fit: QemuFit }
  /** Nothing can run it; `engine` is the one that was wished, or that comes closest. */
  | { engine: 'embedded' | 'qemu'; accelerator: null; why: string; problems: FieldError[] }

export const ACCELERATOR_WORDS: Record<Accelerator, string> = {
  kvm: 'KVM',
  hvf: 'Apple’s Hypervisor framework',
  whpx: 'the Windows Hypervisor Platform',
  tcg: 'software (TCG)',
}

/** @param suspendedOn the engine whose memory state the machine goes on from; that one alone can */
export function chooseEngine(config: MachineConfig, facts: EngineFacts, suspendedOn: 'embedded' | 'qemu' | null = null): EngineChoice {
  if (suspendedOn !== null) {
    const why = `It was suspended on ${suspendedOn === 'qemu' ? 'QEMU' : 'the embedded engine'}, and goes on there.`
    return suspendedOn === 'qemu' ? onQemu(config, facts, () => why) : onEmbedded(config, facts, why)
  }
  if (config.engine === 'embedded') return onEmbedded(config, facts, 'You chose the embedded engine.')
  if (config.engine === 'qemu') return onQemu(config, facts, (fit) => `You chose QEMU. ${howItRuns(config, facts, fit)}`)
  return leftToCoppice(config, facts)
}

function leftToCoppice(config: MachineConfig, facts: EngineFacts): EngineChoice {
  const qemu = onQemu(config, facts, (fit) => howItRuns(config, facts, fit))
  if (qemu.accelerator !== null && qemu.accelerator !== 'tcg') return qemu
  const embedded = onEmbedded(config, facts, whyEmbedded(config, facts, qemu))
  if (!embedded.problems) return embedded
  if (!qemu.problems) return qemu
  return {
    ...embedded,
    why: 'No engine of this computer can run it.',
    problems: [...embedded.problems, ...newOnes(qemu.problems, embedded.problems)],
  }
}

function onEmbedded(config: MachineConfig, { computer }: EngineFacts, why: string): EngineChoice {
  const problems = embeddedProblems(config, computer)
  return { engine: 'embedded', accelerator: null, why, problems: problems.length > 0 ? problems : null }
}

function onQemu(config: MachineConfig, facts: EngineFacts, why: (fit: QemuFit) => string): EngineChoice {
  const { fit, problems } = fitQemu(config, facts)
  if (problems)
    return { engine: 'qemu', accelerator: null, why: facts.searching ? 'QEMU is being looked for.' : 'QEMU cannot run it.', problems }
  return { engine: 'qemu', accelerator: fit.accelerator, why: why(fit), problems: null, fit }
}

function howItRuns(config: MachineConfig, facts: EngineFacts, { accelerator }: QemuFit): string {
  if (accelerator !== 'tcg') return `QEMU runs it with ${ACCELERATOR_WORDS[accelerator]}, the fastest way on this computer.`
  return `QEMU runs it in software, which is slow. ${whySlow(config, facts)}`
}

/** Why no accelerator is used for these guests, from what was found of the best one. */
function whySlow({ arch }: MachineConfig, { qemu }: EngineFacts): string {
  const hardware = qemu.accelerators.filter(({ name }) => name !== 'tcg')
  const broken = hardware.find(({ usable }) => !usable)
  const other = hardware.find(({ usable }) => usable)
  if (other) return `On this computer, ${ACCELERATOR_WORDS[other.name]} does not run ${arch} systems.`
  return broken?.detail ?? 'This computer has no accelerator that QEMU can use.'
}

function whyEmbedded(config: MachineConfig, facts: EngineFacts, qemu: EngineChoice): string {
  if (facts.searching) return 'The embedded engine runs on every computer; QEMU is being looked for.'
  if (!facts.qemu.found) return 'The embedded engine runs on every computer; QEMU was not found on this one.'
  if (qemu.problems) return `The embedded engine runs on every computer; QEMU could not run this machine here. ${qemu.problems[0]!.message}`
  return `The embedded engine suits 32-bit PCs where nothing accelerates QEMU. ${whySlow(config, facts)}`
}

/** What the embedded engine does not say already. */
function newOnes(more: readonly FieldError[], known: readonly FieldError[]): FieldError[] {
  return more.filter(({ path, message }) => !known.some((one) => one.path === path && one.message === message))
}
