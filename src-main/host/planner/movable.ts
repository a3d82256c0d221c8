/** Whether a stopped machine can go on with another engine. Pure. */
import type { EngineVerdict } from '../../../src-shared/model/hardware-verdict.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { chooseEngine } from './choose-engine.ts'
import type { EngineFacts } from './facts.ts'

/** @param suspendedOn the engine whose memory state is in the bundle */
export function movable(
  config: MachineConfig,
  to: 'embedded' | 'qemu',
  facts: EngineFacts,
  suspendedOn: 'embedded' | 'qemu' | null = null,
): EngineVerdict {
  const reasons = [...(chooseEngine({ ...config, engine: to }, facts).problems ?? [])]
  if (suspendedOn !== null && suspendedOn !== to)
    reasons.unshift({
      path: 'engine',
      message: 'It is suspended in the middle of its work. Resume it and shut it down, or discard its state.',
    })
  return { reasons, changes: reasons.length > 0 ? [] : changesOf(config, to) }
}

function changesOf(config: MachineConfig, to: 'embedded' | 'qemu'): string[] {
  const changes: string[] = []
  const disks = config.drives.some(({ kind }) => kind === 'disk')
  if (disks && config.devices === 'auto')
    changes.push(
      to === 'qemu'
        ? 'Its disks become virtio disks: a system without drivers for them does not start. Choose older devices for such a system.'
        : 'Its disks become IDE disks: a system that names them as virtio disks (/dev/vda) does not find them.',
    )
  if (config.nics.length > 0) changes.push('Its network cards sit in other slots: a system may give them other names.')
  return changes
}
