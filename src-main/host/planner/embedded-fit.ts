/** Whether the embedded engine can run a machine. Pure. */
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import { EMBEDDED_LIMITS } from '../../../src-shared/model/engine-limits.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { checkLimits } from './check-limits.ts'
import type { ComputerFacts } from './facts.ts'

/** Every reason why not, at its field; none where it can. */
export function embeddedProblems(config: MachineConfig, computer: ComputerFacts): FieldError[] {
  const problems = checkLimits(config, EMBEDDED_LIMITS, computer)
  const refuse = (path: string, message: string): void => void problems.push({ path, message })
  if (config.firmware !== 'bios') refuse('firmware', 'The embedded engine has a BIOS, not UEFI.')
  if (config.tpm) refuse('tpm', 'The embedded engine has no TPM.')
  if (config.devices === 'modern') refuse('devices', 'The embedded engine has IDE disks, not virtio ones. Leave the devices to Coppice.')
  if (config.pointer === 'mouse')
    refuse('pointer', 'The embedded engine’s pointer is where yours is for guests that know VMware’s mouse. Leave it a tablet.')
  if (config.display === 'virtio') refuse('display', 'The embedded engine has a VGA display, not a virtio one.')
  return problems
}
