/** Whether the embedded engine can run a machine. Pure. */
import type { FieldError } from '../../../src-shared/errors/app-error.ts'
import { BUS_WORDS } from '../../../src-shared/model/disk-bus.ts'
import { EMBEDDED_LIMITS } from '../../../src-shared/model/engine-limits.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { isNetworkAddress, NETWORK_WORDS, parseNetworkDisk } from '../../../src-shared/model/network-disk.ts'
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
  config.drives.forEach(({ bus, cache, path }, at) => {
    if (bus !== undefined && bus !== 'ata')
      refuse(`drives.${at}.bus`, `The embedded engine has IDE disks, not ${BUS_WORDS[bus]} ones. Leave the bus to Coppice.`)
    if (cache === 'none')
      refuse(
        `drives.${at}.cache`,
        'The embedded engine’s disks are read and written through this computer’s page cache. Choose write-back or write-through.',
      )
    const address = path !== null && isNetworkAddress(path) ? parseNetworkDisk(path) : null
    if (address !== null && typeof address !== 'string' && address.kind !== 'nbd')
      refuse(
        `drives.${at}.path`,
        `The embedded engine has disks on the network by NBD, not by ${NETWORK_WORDS[address.kind]}. Let QEMU run the machine.`,
      )
  })
  if (config.display === 'virtio') refuse('display', 'The embedded engine has a VGA display, not a virtio one.')
  return problems
}
