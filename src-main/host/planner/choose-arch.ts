import type { Arch, MachineConfig } from '../../../src-shared/model/machine.ts'
import { chooseEngine } from './choose-engine.ts'
import type { EngineFacts } from './facts.ts'

/**
 * The processor of a new machine for which none was wished: a 64-bit PC, which runs everything that a 32-bit one does, but where the
 * embedded engine will run it. Pure.
 * @param kernel64 it boots a kernel that needs 64 bits
 */
export function chooseArch(wish: MachineConfig, facts: EngineFacts, kernel64 = false): Arch {
  if (wish.engine !== 'auto') return wish.engine === 'qemu' ? 'x86_64' : 'i386'
  if (kernel64) return 'x86_64'
  const wide = chooseEngine({ ...wish, arch: 'x86_64' }, facts)
  if (wide.problems) return 'i386'
  if (wide.accelerator !== 'tcg') return 'x86_64'
  const narrow = chooseEngine({ ...wish, arch: 'i386' }, facts)
  return narrow.engine === 'embedded' && !narrow.problems ? 'i386' : 'x86_64'
}
