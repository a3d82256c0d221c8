/**
 * The command line of a QEMU process: spec + where it listens + computer -> arguments. Pure. Theory of operation: QEMU gets no default
 * device and no configuration of the user's, so that everything in the machine stands here. It stops before the first instruction (`-S`):
 * the supervisor connects, cuts the network cards' links, and lets it run. What an option is for is said where it is made.
 */
import type { MachineSpec, QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import { boardOf, slot, type Board } from './board.ts'
import { agentArguments, monitorArguments, nicArguments, portArguments, serialArguments, tpmArguments } from './channels.ts'
import { driveArguments } from './drives.ts'
import { device, escapeValue, option } from './option.ts'
import { processorArguments } from './processor.ts'
import type { Platform, QemuRuntime } from './runtime.ts'
import { displayArguments, inputArguments } from './screen.ts'
import { shareArguments } from './shares.ts'

/**
 * Without the program's own name, which is `spec.qemu.binary`.
 * @throws Error for a spec without `qemu`, which the planner never gives this engine
 */
export function qemuArguments(spec: MachineSpec, runtime: QemuRuntime, platform: Platform): string[] {
  const { qemu } = spec
  if (!qemu) throw new Error('The spec is not one for QEMU.')
  const board = boardOf(qemu)
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-S'],
    ...['-name', `guest=${escapeValue(spec.name)}`],
    ...['-uuid', spec.id],
    ...['-pidfile', runtime.pidFile],
    ...sandbox(qemu, platform),
    ...processorArguments(spec, qemu, board, platform),
    ...boot(spec),
    ...monitorArguments(runtime),
    ...displayArguments(qemu, runtime, board),
    ...inputArguments(spec, qemu, board),
    ...agentArguments(runtime, qemu, board),
    ...comforts(qemu, board),
    ...serialArguments(runtime, board),
    ...portArguments(spec, qemu, board),
    ...driveArguments(spec, qemu, board),
    ...nicArguments(spec, runtime, board),
    ...tpmArguments(runtime, board),
    ...shareArguments(spec, board),
    ...(runtime.incoming === null ? [] : ['-incoming', runtime.incoming]),
  ]
}

/** A guest that breaks out of QEMU's devices finds no way to start programs or to change who it is. seccomp: Linux only, where it was built in. */
function sandbox(qemu: QemuSpec, platform: Platform): string[] {
  if (platform.os !== 'linux' || !qemu.sandbox) return []
  const deny = { obsolete: 'deny', elevateprivileges: 'deny', spawn: 'deny', resourcecontrol: 'deny' }
  return ['-sandbox', option('on', deny)]
}

function boot({ boot }: MachineSpec): string[] {
  // Firmware tries the drives in the boot order and nothing else.
  if (boot.kind === 'firmware') return ['-boot', 'strict=on']
  const initrd = boot.initrd === null ? [] : ['-initrd', boot.initrd]
  return ['-kernel', boot.kernel, ...initrd, '-append', boot.cmdline]
}

/** Memory that the guest does not need goes back to this computer, and it has random numbers from its first second on. */
function comforts({ devices }: QemuSpec, board: Board): string[] {
  if (devices === 'legacy') return []
  return [
    ...device('virtio-balloon-pci', {
      id: 'balloon',
      ...slot(board, 'balloon'),
      'deflate-on-oom': true,
      'free-page-reporting': true,
    }),
    ...['-object', option('rng-builtin', { id: 'entropy' })],
    ...device('virtio-rng-pci', { id: 'rng', ...slot(board, 'rng'), rng: 'entropy' }),
  ]
}
