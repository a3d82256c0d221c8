/** What an engine can be given against what a machine asks for. Pure. */
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import type { EngineLimits } from '../../../src-shared/model/engine-limits.ts'
import type { Drive, MachineConfig } from '../../../src-shared/model/machine.ts'
import type { ComputerFacts } from './facts.ts'
import { Report } from './report.ts'

export const DRIVE_WORDS: Record<Drive['kind'], string> = { disk: 'disk', cdrom: 'CD drive', floppy: 'floppy drive' }

/** Every way in which the machine is too large or too special for the engine, or for this computer. */
export function checkLimits(config: MachineConfig, engine: EngineLimits, computer: ComputerFacts): FieldError[] {
  const report = new Report()
  const Engine = engine.name.charAt(0).toUpperCase() + engine.name.slice(1)
  const room = (count: number, words: string): string =>
    count === 0 ? `${Engine} has no ${words} for this machine.` : `${Engine} has room for ${count} ${words}${count === 1 ? '' : 's'}.`
  if (!engine.arches.includes(config.arch))
    report.problem('arch', `${Engine} runs ${engine.arches.join(' and ')} systems, not ${config.arch} ones.`)
  if (config.cpus > engine.maxCpus) report.problem('cpus', `${room(engine.maxCpus, 'processor')} Give the machine no more.`)
  checkMemory(config, engine, computer, report)
  if (config.serialPorts > engine.serialPorts)
    report.problem('serialPorts', `${Engine} has at most ${engine.serialPorts} serial ports, not ${config.serialPorts}.`)
  if (config.nics.length > engine.nics) report.problem(`nics.${engine.nics}`, `${room(engine.nics, 'network card')} Remove the others.`)
  config.nics.forEach(({ model }, at) => {
    if (!engine.nicModels.includes(model))
      report.problem(`nics.${at}.model`, `${Engine} has no ${model} network card. Choose ${engine.nicModels.join(' or ')}.`)
  })
  const count = { disk: 0, cdrom: 0, floppy: 0 }
  config.drives.forEach(({ kind }, at) => {
    const most = engine.drives[kind]
    if (++count[kind] === most + 1) report.problem(`drives.${at}.kind`, `${room(most, DRIVE_WORDS[kind])} Remove one.`)
  })
  return report.problems
}

function checkMemory({ memoryMiB }: MachineConfig, engine: EngineLimits, computer: ComputerFacts, report: Report): void {
  const { max } = engine.memoryMiB
  if (memoryMiB > max) report.problem('memoryMiB', `${memoryMiB} MiB is more memory than ${engine.name} can give. The most is ${max} MiB.`)
  else if (memoryMiB > computer.memoryMiB)
    report.problem('memoryMiB', `${memoryMiB} MiB is more memory than this computer has. The most is ${computer.memoryMiB} MiB.`)
}
